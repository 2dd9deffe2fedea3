// `sessions`, `tokens`, `events` and `throttle` on the machine itself, beside a running server and without one.
import { join } from 'node:path';
import { openStore } from '@backchannel/server/store';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LiveServer, serverEnv, startServer } from './live-server.ts';
import { checkout } from './run.ts';

const home = checkout({ '.env': serverEnv });
const file = join(home.root, 'data/backchannel.db');
let server: LiveServer;
beforeAll(async () => {
  server = await startServer(home);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

const run = (...args: string[]) => home.run(args);
const json = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout);
const done = (stdout: string, stderr = '') => ({ stdout, stderr, exitCode: 0 });

/** A revocation takes effect everywhere within a second. The speed of this machine is not under test. */
const untilRefused = (headers: Record<string, string>) =>
  expect.poll(() => server.statusFor(headers), { timeout: 30_000 }).toBe(401);

async function expectBadUsage(args: string[], message: string): Promise<void> {
  const { stdout, stderr, exitCode } = await home.run(args);
  expect(stderr).toMatch(/^\P{Cc}+\n$/u);
  expect(stderr.slice(0, `backchannel: ${message}`.length)).toBe(`backchannel: ${message}`);
  expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
}

/** The rows of a table by column name. Two spaces separate the cells. */
function rowsOf(stdout: string): Record<string, string | undefined>[] {
  const [head = [], ...rows] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  return rows.map((cells) => Object.fromEntries(head.map((name, index) => [name, cells[index]])));
}

describe('sessions', () => {
  test('are listed as the API lists them, for scripts and for people', async () => {
    const { id, headers } = await server.signIn();
    const listed = await json('sessions', 'list');
    const { body } = await server.call('GET', '/auth/sessions', { headers });
    const others = { current: expect.any(Boolean), lastSeenAt: expect.any(String), expiresAt: expect.any(String) };
    expect(listed).toEqual({ sessions: body.sessions.map((session: object) => ({ ...session, ...others })) });
    expect(listed.sessions[0]).toMatchObject({ id, current: false, ip: '127.0.0.1' });

    const { stdout, stderr, exitCode } = await home.spawn(['sessions', 'list'], { env: { TZ: 'Asia/Tokyo' } });
    expect(rowsOf(stdout)[0]).toEqual({
      ID: id,
      DEVICE: 'node',
      ADDRESS: '127.0.0.1',
      CREATED: inTokyo(listed.sessions[0].createdAt),
      // The call above has changed these.
      'LAST SEEN': expect.stringMatching(localTimePattern),
      EXPIRES: expect.stringMatching(localTimePattern),
    });
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });

  test('a revoked session is rejected soon after, and others stay valid', async () => {
    const [ended, kept] = [await server.signIn(), await server.signIn()];
    expect(await run('sessions', 'revoke', ended.id)).toEqual(done('1 session ended\n'));
    await untilRefused(ended.headers);
    expect(await server.statusFor(kept.headers)).toBe(200);
    const again = await run('sessions', 'revoke', ended.id);
    expect(again).toMatchObject({ stdout: '', exitCode: 1 });
    expect(again.stderr).toMatch(/^There is no live session with this ID\. See: \.\/backchannel sessions list\n$/);
  });

  test('all sessions end together, and the output has their number', async () => {
    const { headers } = await server.signIn();
    const { sessions } = await json('sessions', 'list');
    expect(await json('sessions', 'revoke', '--all')).toEqual({ revoked: sessions.length });
    await untilRefused(headers);
    expect(await run('sessions', 'list')).toEqual(done('', 'Nobody is signed in.\n'));
    expect(await run('sessions', 'list', '--json')).toEqual(done('{"sessions":[]}\n'));
    expect(await run('sessions', 'revoke', '--all')).toEqual(done('0 sessions ended\n'));
  });
});

describe('tokens', () => {
  test('a new token prints only its secret on stdout, which is valid for its scope', async () => {
    const { stdout, stderr, exitCode } = await run('tokens', 'create', '--name', 'backup script', '--scope', 'read');
    expect(stdout).toMatch(/^bct_[\w-]{43}\n$/);
    expect(stderr).toMatch(
      /^Token [0-9a-f]{24} \("backup script", read\) never expires\.\nIts secret is not shown again\.\n$/,
    );
    expect(exitCode).toBe(0);
    const headers = { authorization: `Bearer ${stdout.trim()}` };
    expect(await server.statusFor(headers)).toBe(200);
    expect((await server.call('DELETE', '/auth/sessions', { headers })).status).toBe(403);
    expect(JSON.stringify(await json('tokens', 'list'))).not.toContain(stdout.trim());
  });

  test('--json prints the token as the API does, with hosts and expiry', async () => {
    const made = await json(
      ...['tokens', 'create', '--name', 'the wall', '--scope', 'proxy', '--expires-in-days', '3'],
      ...['--host', 'photos.example.com', '--host', 'nas'],
    );
    const { token, secret, ...rest } = made;
    expect(token).toMatchObject({ name: 'the wall', scope: 'proxy', hosts: ['photos.example.com', 'nas'] });
    expect(Date.parse(token.expiresAt) - Date.parse(token.createdAt)).toBe(3 * 86_400_000);
    expect(secret.startsWith(token.prefix)).toBe(true);
    expect(rest).toEqual({});
    expect((await json('tokens', 'list')).tokens[0]).toEqual(token);
    expect(rowsOf((await run('tokens', 'list')).stdout)[0]).toEqual({
      ID: token.id,
      NAME: 'the wall',
      SCOPE: 'proxy',
      HOSTS: 'photos.example.com nas',
      SECRET: `${token.prefix}…`,
      CREATED: localTime(token.createdAt),
      'LAST USED': '-',
      FROM: '-',
      EXPIRES: localTime(token.expiresAt),
    });
  });

  test('a revoked token is rejected soon after', async () => {
    const { token, secret } = await json('tokens', 'create', '--name', 'x', '--scope', 'full');
    const headers = { authorization: `Bearer ${secret}` };
    expect(await server.statusFor(headers)).toBe(200);
    expect(await run('tokens', 'revoke', token.id)).toEqual(done('1 token revoked\n'));
    await untilRefused(headers);
    expect(await run('tokens', 'revoke', token.id)).toMatchObject({ stdout: '', exitCode: 1 });
  });

  test('invalid tokens are rejected as by the API, and none is created', async () => {
    const wanted = ['--name', 'x', '--scope', 'read'];
    const cases: [string[], string][] = [
      [['--name', 'x'], 'tokens create needs --name NAME and --scope SCOPE'],
      [['--scope', 'read'], 'tokens create needs --name NAME and --scope SCOPE'],
      [['--name', 'x', '--scope', 'write'], '--scope: '],
      [['--name', 'x\u001b[2J', '--scope', 'read'], '--name: A name has 1 to 64 characters, none of them a control'],
      [['--name', 'x'.repeat(65), '--scope', 'read'], '--name: A name has 1 to 64 characters'],
      [[...wanted, '--host', 'nas'], '--host: Only a proxy token has hosts.'],
      [['--name', 'x', '--scope', 'proxy', '--host', 'https://nas'], '--host: A host is a name or an IPv4 address'],
      [[...wanted, '--expires-in-days', '0'], '--expires-in-days: '],
      [[...wanted, '--expires-in-days', '3651'], '--expires-in-days: '],
      [[...wanted, '--expires-in-days', '1e3'], '--expires-in-days must be a whole number'],
      [[...wanted, 'x'], 'this command takes no argument'],
    ];
    // Compare ids, because the server writes the last use of a token later.
    const ids = async () => (await json('tokens', 'list')).tokens.map((token: { id: string }) => token.id);
    const before = await ids();
    for (const [args, message] of cases) await expectBadUsage(['tokens', 'create', ...args], message);
    expect(await ids()).toEqual(before);
  });
});

describe('events', () => {
  test('are listed newest first, as the API lists them', async () => {
    const { headers } = await server.signIn();
    const listed = await json('events', '--limit', '5');
    const { body } = await server.call('GET', '/auth/events?limit=5', { headers });
    expect(listed).toEqual({ events: body.events });
    expect(listed.events[0].type).toBe('login.succeeded');
    const [{ at, sessionId }] = listed.events;
    expect(rowsOf((await run('events', '--limit', '1')).stdout)).toEqual([
      { TIME: localTime(at), TYPE: 'login.succeeded', ADDRESS: '127.0.0.1', ABOUT: sessionId, DETAIL: '-' },
    ]);
  });

  test('are filtered by type, and limited to 50 by default', async () => {
    const { events } = await json('events', '--type', 'server.started');
    expect(events.map(({ type }: { type: string }) => type)).toEqual(['server.started']);
    expect(await run('events', '--type', 'password.changed')).toEqual(done('', 'No events found.\n'));
  });

  test('never put a control character on the terminal', async () => {
    const detail = '\u001b]0;title\u0007\u009b2J\n\u202egnp\u2028x';
    const hostile = ['f'.repeat(24), Date.now(), 'logout', '\u001b[1m', '\u009b', detail];
    const change = 'insert into backchannel_events (id, at, type, ip, user_agent, detail) values (?, ?, ?, ?, ?, ?)';
    await using store = await openStore({ engine: 'sqlite', file });
    await store.write((em) => em.execute(change, hostile, 'run'));
    const { stdout } = await run('events', '--limit', '1');
    expect(stdout).toContain('\\u001b]0;title\\u0007\\u009b2J\\u000a\\u202egnp\\u2028x');
    const asJson = (await run('events', '--limit', '1', '--json')).stdout;
    for (const text of [stdout, asJson]) expect(text.replaceAll('\n', '')).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(asJson).events[0].detail).toBe(detail);
    await store.write((em) => em.execute('delete from backchannel_events where id = ?', [hostile[0]], 'run'));
  });

  test.each([
    [['--limit', '0'], '--limit must be a whole number from 1 to 10000'],
    [['--limit', 'all'], '--limit must be a whole number from 1 to 10000'],
    [['--limit', '10001'], '--limit must be a whole number from 1 to 10000'],
    [['--type', 'login.fail'], 'unknown event type. Did you mean login.failed?'],
    [['--type', 'x'], 'unknown event type. Types: login.succeeded, login.failed'],
  ])('bad usage: %j', (args, message) => expectBadUsage(['events', ...args], message));
});

describe('the throttle', () => {
  const fail = async (times: number) => {
    for (let count = 0; count < times; count++) expect(await server.tryPassword('wrong')).toBe(401);
    expect(await server.tryPassword('wrong')).toBe(429);
  };

  test('lists the waiting sources, and lets one try again at once', async () => {
    await fail(5);
    const { sources } = await json('throttle', 'list');
    expect(sources[0]).toEqual({
      source: 'ip:127.0.0.1',
      failures: 5,
      lastAt: expect.stringMatching(/Z$/),
      waitsUntil: expect.stringMatching(/Z$/),
    });
    expect(sources[1]).toMatchObject({ source: 'unknown-devices', failures: 5, waitsUntil: null });
    const [own, others] = rowsOf((await run('throttle', 'list')).stdout);
    expect(own).toEqual({
      SOURCE: 'ip:127.0.0.1',
      FAILURES: '5',
      'LAST FAILURE': localTime(sources[0].lastAt),
      'WAITS UNTIL': localTime(sources[0].waitsUntil),
    });
    expect(others).toMatchObject({ SOURCE: 'unknown-devices', 'WAITS UNTIL': '-' });

    expect(await run('throttle', 'clear', 'ip:127.0.0.1')).toEqual(done('1 source cleared\n'));
    expect(await server.tryPassword('admin123')).toBe(200);
    const again = await run('throttle', 'clear', 'ip:127.0.0.1');
    expect(again).toMatchObject({ stdout: '', exitCode: 1 });
    expect(again.stderr).toMatch(
      /^There are no recent failures of this source\. See: \.\/backchannel throttle list\n$/,
    );
  });

  test('accepts a bare address, IPv6 included, and clears all sources together', async () => {
    await fail(5);
    expect(await json('throttle', 'clear', '127.0.0.1')).toEqual({ cleared: 1 });
    const networks = ['ip:2001:db8:1:2::/64', 'ip:2001:db8:1::/48', 'ip:2001:db8:9::/48'];
    await using store = await openStore({ engine: 'sqlite', file });
    const change =
      'insert into backchannel_throttle (source, failures, first_at, last_at, told_at) values (?, 1, 0, ?, 0)';
    await store.write(async (em) => {
      for (const source of networks) await em.execute(change, [source, Date.now()], 'run');
    });
    expect(await json('throttle', 'clear', '2001:DB8:1:2::7')).toEqual({ cleared: 2 });
    expect(await json('throttle', 'clear', '--all')).toEqual({ cleared: 2 });
    expect(await run('throttle', 'list')).toEqual(done('', 'There are no recent failures.\n'));
    expect(await run('throttle', 'clear', '--all')).toEqual(done('0 sources cleared\n'));
  });
});

describe('with the server stopped', () => {
  test('every command works the same, and the next start finds the changes', async () => {
    const [ended, kept] = [await server.signIn(), await server.signIn()];
    for (let count = 0; count < 5; count++) await server.tryPassword('wrong');
    await server.stop();
    const { sessions } = await json('sessions', 'list');
    expect(sessions.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining([ended.id, kept.id]));
    expect((await json('events', '--type', 'login.failed')).events).not.toEqual([]);
    expect((await json('throttle', 'list')).sources[0].waitsUntil).not.toBeNull();
    expect(await run('sessions', 'revoke', ended.id)).toEqual(done('1 session ended\n'));
    expect(await run('throttle', 'clear', '127.0.0.1')).toEqual(done('1 source cleared\n'));
    const [made, gone] = [
      await json('tokens', 'create', '--name', 'made', '--scope', 'read'),
      await json('tokens', 'create', '--name', 'gone', '--scope', 'read'),
    ];
    expect(await run('tokens', 'revoke', gone.token.id)).toEqual(done('1 token revoked\n'));

    server = await startServer(home);
    const token = ({ secret }: { secret: string }) => ({ authorization: `Bearer ${secret}` });
    expect(await server.statusFor(ended.headers)).toBe(401);
    expect(await server.statusFor(kept.headers)).toBe(200);
    expect(await server.statusFor(token(made))).toBe(200);
    expect(await server.statusFor(token(gone))).toBe(401);
    expect(await server.tryPassword('admin123')).toBe(200);
  });
});

const localTime = (iso: string) => inZone(iso, process.env.TZ);
const inTokyo = (iso: string) => inZone(iso, 'Asia/Tokyo');

const localTimePattern = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

/** `2026-03-14 09:26:53`. */
const inZone = (iso: string, timeZone: string | undefined) =>
  new Date(iso).toLocaleString('sv-SE', timeZone === undefined ? {} : { timeZone });
