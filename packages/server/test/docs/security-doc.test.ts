// docs/security.md, held to the code: the claims that no other test shows, and that whatever it cites and lists is there.
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { type JWTHeaderParameters, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { settings } from '../../src/config/config.ts';
import { eventTypes } from '../../src/services/events.ts';
import { createKeyRing } from '../../src/services/keys.ts';
import { entities } from '../../src/store/entities.ts';
import { LEDGER } from '../../src/store/ledger.ts';
import { makeToken, OWN_PASSWORD } from '../support/callers.ts';
import { cookieValue } from '../support/cookies.ts';
import { sqliteFile, startServer, type TestClient, type TestServer, testOnSqlite } from '../support/harness.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const KEY = 'k'.repeat(40);
const own = { password: { from: 'database', builtInAllowed: true } } as const;
const root = join(import.meta.dirname, '../../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const page = read('docs/security.md');

const secretIn = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti;
const login = (client: TestClient, password = OWN_PASSWORD) => client.rest('POST', '/auth/login', { password });
const isIn = async (client: TestClient, headers: Record<string, string> = {}) =>
  (await client.rest('GET', '/client/protected', undefined, headers)).status === 200;

function withCookie(server: TestServer, name: string, value: string): TestClient {
  const client = server.client();
  client.cookie = `${name}=${value}`;
  return client;
}

/** A server with something of everything in its database, and what its owner holds. */
async function startLivedIn() {
  const server = await startServer({ ...own, secretKeys: [KEY], loginMaxFailures: 1, loginWindowMinutes: 60 });
  const [browser, left] = [server.client(), server.client()];
  await login(left);
  await left.rest('POST', '/auth/logout');
  await login(browser);
  const { headers } = await makeToken(server, 'full');
  for (const scope of ['read', 'proxy'] as const) await makeToken(server, scope);
  await login(server.client(), 'a wrong one');
  await server.services.throttle.clear('ip:127.0.0.1');
  await server.services.activity.flush();
  const [session, device] = ['backchannel_session', 'backchannel_device'].map((name) =>
    cookieValue(browser.cookie, name),
  );
  return { server, browser, session: session ?? '', device: device ?? '', bearer: headers.authorization ?? '' };
}

/** The database file as an attacker or a backup has it: whole, and of one moment. */
function copyDatabase(server: TestServer): string {
  const folder = mkdtempSync(join(tmpdir(), 'backchannel-stolen-'));
  const db = new Sqlite(sqliteFile(server), { readonly: true });
  db.prepare('vacuum into ?').run(join(folder, 'backchannel.db'));
  db.close();
  return folder;
}

/** Every text in every table. */
function textsIn(folder: string): string[] {
  const db = new Sqlite(join(folder, 'backchannel.db'), { readonly: true });
  const tables = db.prepare("select name from sqlite_schema where type = 'table'").pluck().all() as string[];
  const values = tables.flatMap((table) => (db.prepare(`select * from "${table}"`).raw().all() as unknown[][]).flat());
  db.close();
  return [...new Set(values.filter((value): value is string => typeof value === 'string' && value !== ''))];
}

/** Each value as a token of every kind, signed with a key. */
async function signedAround(values: readonly string[], key: string): Promise<string[]> {
  const ring = createKeyRing([key], Date.now);
  const inAYear = Date.now() + 365 * DAY_MS;
  const kinds = ['session', 'device'] as const;
  return Promise.all(values.flatMap((value) => kinds.map((kind) => ring.sign(kind, value, inAYear))));
}

/** From here on strangers wait for a quarter of an hour and more: nobody but a known device may try a password. */
async function makeStrangersWait(server: TestServer): Promise<void> {
  for (;;) {
    const { status, headers } = await login(server.client(), 'a wrong one');
    const seconds = Number(headers.get('retry-after'));
    if (status === 429 && seconds > 900) return;
    server.advance(seconds * 1000);
  }
}

/** Which of these values open anything at all: as a cookie of either kind, or as a bearer. */
async function whatOpens(server: TestServer, values: readonly string[]): Promise<string[]> {
  const opened: string[] = [];
  await makeStrangersWait(server);
  const bearerOf = (value: string) => isIn(server.client(), { authorization: `Bearer ${value}` });
  for (const value of values) {
    const [asSession, asDevice, asToken, asRest] = await Promise.all([
      isIn(withCookie(server, 'backchannel_session', value)),
      login(withCookie(server, 'backchannel_device', value), 'a wrong one'),
      bearerOf(value),
      bearerOf(`bct_${value}`),
    ]);
    if (asSession) opened.push(`session ${value}`);
    if (asDevice.status !== 429) opened.push(`device ${value}`);
    if (asToken || asRest) opened.push(`bearer ${value}`);
  }
  return opened;
}

/** Which of these values are the password. */
async function whatSignsIn(server: TestServer, values: readonly string[]): Promise<string[]> {
  const opened: string[] = [];
  for (const value of values) {
    await server.services.throttle.clear();
    if ((await login(server.client(), value)).status === 200) opened.push(value);
  }
  return opened;
}

describe('what an attacker holds opens nothing:', () => {
  testOnSqlite('the database file', async () => {
    const { server, session, device, bearer } = await startLivedIn();
    await using _closing = server;
    const folder = copyDatabase(server);
    const found = textsIn(folder);
    expect(found).toContain(createHash('sha256').update(secretIn(session)).digest('base64url'));
    const shown = [...found, ...(await signedAround(found, "the attacker's own key, of 32 and more"))];
    expect(await whatSignsIn(server, found)).toEqual([]);
    expect(await whatOpens(server, shown)).toEqual([]);
    const full = bearer.replace('Bearer ', '');
    expect(await whatOpens(server, [session, device, full])).toEqual([
      `session ${session}`,
      `device ${device}`,
      `bearer ${full}`,
    ]);
    rmSync(folder, { recursive: true });
  });

  test('SECRET_KEY', async () => {
    const { server, browser, session, device } = await startLivedIn();
    await using _closing = server;
    const me = await browser.rest('GET', '/auth/me');
    const random = Array.from({ length: 20 }, () => randomBytes(32).toString('base64url'));
    const guesses = ['', 'operator', KEY, me.body.session.id, ...random];
    expect(await whatSignsIn(server, [KEY])).toEqual([]);
    expect(await whatOpens(server, [KEY, ...(await signedAround(guesses, KEY))])).toEqual([]);
    // With the real secrets and key, what the attacker signs is as valid as the server's own.
    const [ofSession = '', asDevice = ''] = await signedAround([secretIn(session)], KEY);
    const [, ofDevice = ''] = await signedAround([secretIn(device)], KEY);
    expect(await whatOpens(server, [ofSession, asDevice, ofDevice])).toEqual([
      `session ${ofSession}`,
      `device ${ofDevice}`,
    ]);
  });

  testOnSqlite('the database file and SECRET_KEY', async () => {
    const { server, session, device, bearer } = await startLivedIn();
    const folder = copyDatabase(server);
    await server[Symbol.asyncDispose]();
    const found = textsIn(folder);
    await using copy = await startServer(
      { ...own, secretKeys: [KEY], loginMaxFailures: 1, loginWindowMinutes: 60 },
      { dataDir: folder },
    );
    expect(await whatSignsIn(copy, found)).toEqual([]);
    expect(await whatOpens(copy, [...found, ...(await signedAround(found, KEY))])).toEqual([]);
    // The rows are live: what the owner holds still opens them.
    expect(await isIn(withCookie(copy, 'backchannel_session', session))).toBe(true);
    expect(await isIn(copy.client(), { authorization: bearer })).toBe(true);
    await copy.restart({ secretKeys: ['n'.repeat(40)] });
    expect(await isIn(withCookie(copy, 'backchannel_session', session))).toBe(false);
    expect(await whatOpens(copy, [session, device])).toEqual([]);
    // A new key ends the sessions, not the tokens.
    expect(await isIn(copy.client(), { authorization: bearer })).toBe(true);
    rmSync(folder, { recursive: true });
  });
});

describe('a token around a real secret, signed with the real key, is nobody', () => {
  const signingKey = new Uint8Array(hkdfSync('sha256', KEY, '', 'backchannel token v1', 32));
  const kid = createHash('sha256').update(signingKey).digest('base64url').slice(0, 8);
  const inAnHour = Math.floor(Date.now() / 1000) + 3600;
  const header = { alg: 'HS256', typ: 'session+jwt', kid };
  const claims = { iss: 'backchannel', aud: 'backchannel:session', exp: inAnHour };
  const without = <T extends object>(from: T, name: keyof T) => ({ ...from, [name]: undefined });
  const jwk = { kty: 'oct', k: Buffer.alloc(32).toString('base64url') };

  const cases: [string, { header?: object; claims?: object; key?: Uint8Array }, boolean][] = [
    ['with nothing wrong', {}, true],
    ['of no type', { header: without(header, 'typ') }, false],
    ['of another type', { header: { ...header, typ: 'JWT' } }, false],
    ["of a device's type", { header: { ...header, typ: 'device+jwt' } }, false],
    ['of another algorithm', { header: { ...header, alg: 'HS512' }, key: randomBytes(64) }, false],
    ['of another algorithm with the same key', { header: { ...header, alg: 'HS384' } }, false],
    ['without a key id', { header: without(header, 'kid') }, false],
    ['with another key id', { header: { ...header, kid: 'AAAAAAAA' } }, false],
    ['with its own key', { header: { ...header, jwk }, key: new Uint8Array(32) }, false],
    [
      'with the address of a key',
      { header: { ...header, jku: 'https://evil.example/keys' }, key: new Uint8Array(32) },
      false,
    ],
    ['that bears SECRET_KEY as it is', { key: Buffer.from(KEY) }, false],
    ['with an extension that must be understood', { header: { ...header, crit: ['exp'], exp: 1 } }, false],
    ['of no issuer', { claims: without(claims, 'iss') }, false],
    ['of another issuer', { claims: { ...claims, iss: 'somebody' } }, false],
    ['for nobody', { claims: without(claims, 'aud') }, false],
    ['for a device', { claims: { ...claims, aud: 'backchannel:device' } }, false],
    ['without an end', { claims: without(claims, 'exp') }, false],
    ['that has ended', { claims: { ...claims, exp: inAnHour - 7200 } }, false],
    ['that has not begun', { claims: { ...claims, nbf: inAnHour } }, false],
  ];

  test.each(cases)('%s', async (_name, bent, isGood) => {
    await using server = await startServer({ secretKeys: [KEY] });
    const client = server.client();
    await client.signIn();
    const jti = secretIn(cookieValue(client.cookie, 'backchannel_session'));
    const token = new SignJWT({ jti, ...claims, ...bent.claims }).setProtectedHeader({
      ...header,
      ...bent.header,
    } as JWTHeaderParameters);
    const signed = await token.sign(bent.key ?? signingKey, { crit: { exp: true } });
    expect(await isIn(withCookie(server, 'backchannel_session', signed))).toBe(isGood);
    expect(await isIn(client)).toBe(true);
  });
});

test('a stolen session reads and ends things, and makes no token later', async () => {
  await using server = await startServer(own);
  const [owner, attacker] = [server.client(), server.client()];
  await login(owner);
  attacker.cookie = `backchannel_session=${cookieValue(owner.cookie, 'backchannel_session')}`;
  server.advance(16 * MINUTE_MS);
  expect((await attacker.rest('GET', '/auth/events')).status).toBe(200);
  const wrong = 'a wrong one';
  for (const [path, body, code] of [
    ['/auth/tokens', { name: 'x', scope: 'full' }, 'STEP_UP_REQUIRED'],
    ['/auth/step-up', { password: wrong }, 'FORBIDDEN'],
    ['/auth/password', { current: wrong, new: 'another one' }, 'FORBIDDEN'],
  ] as const) {
    expect((await attacker.rest('POST', path, body)).body.code, path).toBe(code);
  }
  expect((await attacker.rest('DELETE', '/auth/sessions')).body).toEqual({ revoked: 0 });
  await owner.rest('POST', '/auth/logout');
  expect(await isIn(attacker)).toBe(false);
});

test('a token that was made with a stolen session outlasts it, until the tokens are revoked', async () => {
  await using server = await startServer(own);
  const { headers } = await makeToken(server, 'full');
  const owner = server.client();
  await login(owner);
  const change = { current: OWN_PASSWORD, new: 'a new password' };
  await owner.rest('POST', '/auth/password', change);
  expect(await isIn(server.client(), headers)).toBe(true);
  await owner.rest('POST', '/auth/password', { current: change.new, new: 'another one', revokeTokens: true });
  expect(await isIn(server.client(), headers)).toBe(false);
});

test('a stolen device cookie can make its browser wait, and nobody else', async () => {
  await using server = await startServer();
  const owner = server.client();
  await owner.signIn();
  const attacker = withCookie(server, 'backchannel_device', cookieValue(owner.cookie, 'backchannel_device'));
  for (const expected of [401, 401, 401, 401, 401, 429]) {
    expect((await login(attacker, 'a wrong one')).status).toBe(expected);
  }
  expect(await isIn(owner)).toBe(true);
  expect((await owner.signIn()).status).toBe(429);
  expect((await server.client().signIn()).status).toBe(200);
});

testOnSqlite('a backup that is put back brings back what was ended since, until it is ended again', async () => {
  const before = await startServer({ ...own, secretKeys: [KEY] });
  const stolen = before.client();
  await login(stolen);
  const token = await makeToken(before, 'full');
  const folder = copyDatabase(before);
  const owner = before.client();
  await login(owner);
  await owner.rest('DELETE', '/auth/sessions');
  await owner.rest('DELETE', `/auth/tokens/${token.id}`);
  await owner.rest('POST', '/auth/password', { current: OWN_PASSWORD, new: 'a new password' });
  expect([await isIn(stolen), await isIn(before.client(), token.headers)]).toEqual([false, false]);
  const { cookie } = stolen;
  await before[Symbol.asyncDispose]();

  await using restored = await startServer({ ...own, secretKeys: [KEY] }, { dataDir: folder });
  const back = restored.client();
  back.cookie = cookie;
  expect([await isIn(back), await isIn(restored.client(), token.headers)]).toEqual([true, true]);
  expect((await login(restored.client(), 'a new password')).status).toBe(401);
  const again = restored.client();
  await login(again);
  await again.rest('POST', '/auth/password', { current: OWN_PASSWORD, new: 'a new password', revokeTokens: true });
  expect([await isIn(back), await isIn(restored.client(), token.headers)]).toEqual([false, false]);
  rmSync(folder, { recursive: true });
});

describe('a password', () => {
  test('has no rules but its length: any characters do, and it counts for ever', async () => {
    for (const plain of [
      'aaaaaaaaaaaaaaa',
      '               ',
      '111111111111111',
      'ein Satz mit Umlaut: ä',
      '日本語のパスワード',
    ]) {
      await using server = await startServer({ password: { from: 'MASTER_PASSWORD', plain } });
      server.advance(3650 * DAY_MS);
      expect((await login(server.client(), plain)).status, plain).toBe(200);
    }
  });

  test('counts byte for byte as it was sent: é in one code point is not é in two', async () => {
    const composed = 'café au lait'.normalize('NFC');
    await using server = await startServer({ password: { from: 'MASTER_PASSWORD', plain: composed } });
    expect((await login(server.client(), composed)).status).toBe(200);
    for (const other of [composed.normalize('NFD'), composed.toUpperCase(), ` ${composed}`, `${composed}\n`]) {
      expect((await login(server.client(), other)).status).toBe(401);
    }
  });
});

describe('docs/security.md', () => {
  // A paragraph is one line, as its readers see it.
  const flat = page.replace(/\n *(?=[^\n |#-])/g, ' ');
  const cited = [...flat.matchAll(/`([\w/-]+\.test\.ts)`((?:,? \*[^*\n]+\*)*)/g)].map(([, file = '', names = '']) => ({
    file: /^(?:packages|e2e)\//.test(file) ? file : `packages/server/test/${file}`,
    names: [...names.matchAll(/\*([^*]+)\*/g)].map(([, name = '']) => name),
  }));
  const rows = [...page.matchAll(/^\| (.*) \|$/gm)].map(([, row = '']) => row.split(' | '));
  const listedIn = (heading: string) => {
    const section = page.split(/^## /m).find((each) => each.startsWith(heading)) ?? '';
    return [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name);
  };

  test('cites files and tests that are there', () => {
    expect(cited.length).toBeGreaterThan(30);
    for (const { file, names } of cited) {
      expect(existsSync(join(root, file)), file).toBe(true);
      expect(names.length, file).toBeGreaterThan(0);
      const titles = titlesIn(read(file));
      for (const name of names) {
        expect(titles.some((title) => title.includes(name)) ? '' : `${file} has no test "${name}"`).toBe('');
      }
    }
  });

  test('says of every requirement whether it is met, with the test that shows it where it is, and why where it is not', () => {
    const requirements = rows.filter(([ids = '']) => /^(ASVS|NIST)/.test(ids));
    expect(requirements.length).toBeGreaterThan(30);
    for (const [ids = '', verdict = '', how = '', shown = ''] of requirements) {
      expect(['met', 'partly', 'not'], ids).toContain(verdict);
      expect(how.length, ids).toBeGreaterThan(20);
      if (verdict !== 'not') expect(shown, ids).toMatch(/`[\w/-]+\.test\.ts` \*.+\*/);
    }
  });

  test('names every table, every type of event, and the defaults as they are', () => {
    expect(listedIn('What is stored').sort()).toEqual([LEDGER, ...entities.map(({ meta }) => meta.tableName)].sort());
    const named = [...page.matchAll(/`([a-z]+(?:-[a-z]+)?\.[a-z]+|logout)`/g)].map(([, name = '']) => name);
    for (const type of eventTypes) expect(named).toContain(type);
    const told = [...page.matchAll(/`([A-Z_]+)` \(([^)`]+)\)/g)].map(([, name, value]) => [name, value]);
    expect(told.length).toBeGreaterThan(5);
    for (const [name, value] of told)
      expect([name, value]).toEqual([name, settings.find((each) => each.name === name)?.default]);
  });

  test('lists every door where the master password is checked', () => {
    // Nothing else has tries to run out of.
    const { paths } = JSON.parse(read('packages/server/openapi.json')) as { paths: Paths };
    const doors = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { responses }]) => '429' in responses)
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    expect(listedIn('Signing in').sort()).toEqual(doors.sort());
  });
});

type Paths = Record<string, Record<string, { responses: object }>>;

/** What a test file calls its tests and groups: each text that a function follows. */
function titlesIn(source: string): string[] {
  const title = /\(\s*(['"`])((?:\\.|(?!\1).)+)\1,\s*(?:async\b|\(|\{|function\b)/gs;
  return [...source.matchAll(title)].map(([, , text = '']) => text.replace(/\\(.)/g, '$1'));
}
