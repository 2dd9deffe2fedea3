// Changing the master password: who may, what ends with it, and what happens when something else is under way.
import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { createLog } from '../../../src/log.ts';
import { hashPassword, verifyPassword } from '../../../src/services/password/hashing.ts';
import { openServices } from '../../../src/services/services.ts';
import { openStore } from '../../../src/store/database.ts';
import { lockWrites } from '../../support/elsewhere.ts';
import { type Face, PASSWORD, startServer, type TestClient, type TestServer } from '../../support/harness.ts';
import { holdNext } from '../../support/hold.ts';

const MINUTE_MS = 60_000;
const OLD = 'admin123';
const NEW = 'a new password';
const faces: Face[] = ['REST', 'tRPC'];

/** With no password in the environment: the one that counts is in the database, and can be changed. */
const kept = (more: Partial<Config> = {}): Partial<Config> => ({
  password: { from: 'database', builtInAllowed: true },
  ...more,
});

async function signedIn(server: TestServer, password = OLD): Promise<TestClient> {
  const client = server.client();
  expect((await client.rest('POST', '/auth/login', { password })).status).toBe(200);
  return client;
}

const login = async (server: TestServer, password: string) =>
  (await server.client().rest('POST', '/auth/login', { password })).status;

const status = async (client: TestClient, headers: Record<string, string> = {}) =>
  (await client.rest('GET', '/client/protected', undefined, headers)).status;

/** A change over either face, with the body that REST would have. */
async function change(client: TestClient, input: object, face: Face = 'REST') {
  const body = { current: OLD, new: NEW, ...input };
  if (face === 'REST') return client.rest('POST', '/auth/password', body);
  const answer = await client.trpc('mutation', 'auth.changePassword', body);
  return { ...answer, body: answer.body.result?.data ?? answer.body.error.data };
}

async function makeToken(client: TestClient): Promise<{ authorization: string }> {
  const { body } = await client.rest('POST', '/auth/tokens', { name: 'x', scope: 'full' });
  return { authorization: `Bearer ${body.secret}` };
}

const eventsOf = async (client: TestClient, type: string) =>
  (await client.rest('GET', `/auth/events?type=${type}&limit=100`)).body.events;

describe('a change of the password', () => {
  test.each(faces)('ends all other sessions for good, and keeps the own one and the tokens, over %s', async (face) => {
    await using server = await startServer(kept());
    const [owner, other, another] = [await signedIn(server), await signedIn(server), await signedIn(server)];
    const token = await makeToken(owner);
    const { status: answered, body } = await change(owner, {}, face);
    expect(answered).toBe(200);
    expect(body).toEqual({ message: 'The password is changed.', sessionsEnded: 2, tokensRevoked: 0 });
    const check = async () => {
      expect(await status(owner)).toBe(200);
      expect(await status(server.client(), token)).toBe(200);
      for (const client of [other, another]) expect(await status(client)).toBe(401);
      expect(await login(server, OLD)).toBe(401);
      expect(await login(server, NEW)).toBe(200);
    };
    await check();
    server.advance(1000);
    await check();
    await server.restart();
    await check();
    const sessionId = (await owner.rest('GET', '/auth/me')).body.session.id;
    expect(await eventsOf(owner, 'password.changed')).toEqual([
      expect.objectContaining({ sessionId, detail: '2 session(s) ended, 0 token(s) revoked', ip: '127.0.0.1' }),
    ]);
    expect(await eventsOf(owner, 'session.revoked')).toHaveLength(2);
  });

  test('revokes the tokens, too, when asked to', async () => {
    await using one = await startServer(kept());
    await using two = await startServer(kept(), { dataDir: one.config.dataDir });
    const owner = await signedIn(one);
    const tokens = [await makeToken(owner), await makeToken(owner)];
    for (const token of tokens) for (const server of [one, two]) expect(await status(server.client(), token)).toBe(200);
    expect((await change(owner, { revokeTokens: true })).body).toMatchObject({ sessionsEnded: 0, tokensRevoked: 2 });
    two.advance(1000);
    for (const token of tokens) for (const server of [one, two]) expect(await status(server.client(), token)).toBe(401);
    expect(await eventsOf(owner, 'token.revoked')).toHaveLength(2);
    expect((await owner.rest('GET', '/auth/tokens')).body).toEqual({ tokens: [] });
  });

  test('is possible again and again, from the one that was made at first start, too', async () => {
    await using server = await startServer({ password: { from: 'database', builtInAllowed: false } });
    const generated = server.services.password.generated ?? '';
    const owner = await signedIn(server, generated);
    expect((await change(owner, { current: generated, new: 'a second one' })).status).toBe(200);
    expect((await change(owner, { current: generated, new: 'a third one' })).status).toBe(403);
    expect((await change(owner, { current: 'a second one', new: 'a third one' })).status).toBe(200);
    for (const [password, expected] of [
      [generated, 401],
      ['a second one', 401],
      ['a third one', 200],
    ] as const) {
      expect(await login(server, password)).toBe(expected);
    }
    // The built-in one does not come back where it would be allowed.
    await server.restart(kept());
    expect(await login(server, OLD)).toBe(401);
    expect(await login(server, 'a third one')).toBe(200);
    expect(await status(owner)).toBe(200);
  });

  test.each(faces)('with a wrong current one is refused with 403, counted and recorded, over %s', async (face) => {
    await using server = await startServer(kept({ loginMaxFailures: 3 }));
    const [owner, other] = [await signedIn(server), await signedIn(server)];
    for (const expected of ['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'TOO_MANY_REQUESTS']) {
      expect((await change(owner, { current: 'wrong' }, face)).body.code).toBe(expected);
    }
    for (const client of [owner, other]) expect(await status(client)).toBe(200);
    expect(await eventsOf(owner, 'step-up.failed')).toHaveLength(3);
    // The one that counts is no better while the source waits.
    expect((await change(owner, {}, face)).status).toBe(429);
    expect(await login(server, OLD)).toBe(200);
  });

  test.each([
    ['a new one of 7 characters', { new: 'sevenup' }, 'new'],
    ['a new one of 7 characters in 14 UTF-16 units', { new: '🔑'.repeat(7) }, 'new'],
    ['the built-in one', { new: 'admin123' }, 'new'],
    ['the built-in one in capitals', { new: 'ADMIN123' }, 'new'],
    ['a common one', { new: 'password1' }, 'new'],
    ['a common one in another case', { new: 'QwertyUiop' }, 'new'],
    ['a new one of 73 bytes', { new: 'x'.repeat(73) }, 'new'],
    ['a new one with a NUL', { new: 'a\0b' }, 'new'],
    ['an empty new one', { new: '' }, 'new'],
    ['a current one of 73 bytes', { current: 'x'.repeat(73) }, 'current'],
    ['no current one', { current: undefined }, 'current'],
    ['a revokeTokens that is a string', { revokeTokens: 'false' }, 'revokeTokens'],
    ['a field that there is not', { keepSessions: true }, 'keepSessions'],
  ])('refuses %s with 400 on both faces', async (_name, input, path) => {
    await using server = await startServer(kept());
    const owner = await signedIn(server);
    for (const face of faces) {
      const { status: answered, body } = await change(owner, input, face);
      expect(answered).toBe(400);
      expect(body.issues).toEqual([{ path, message: expect.any(String) }]);
    }
    expect(await login(server, OLD)).toBe(200);
  });

  test('takes a new one of 72 bytes, each of which counts', async () => {
    await using server = await startServer(kept());
    const longest = 'é'.repeat(36);
    expect((await change(await signedIn(server), { new: longest })).status).toBe(200);
    expect(await login(server, `${longest.slice(0, -1)}è`)).toBe(401);
    expect(await login(server, longest)).toBe(200);
  });

  test('is for a session: for no token and no stranger', async () => {
    await using server = await startServer(kept());
    const token = await makeToken(await signedIn(server));
    const input = { current: OLD, new: NEW };
    expect((await server.client().rest('POST', '/auth/password', input, token)).status).toBe(403);
    expect((await server.client().rest('POST', '/auth/password', input)).status).toBe(401);
    expect(await login(server, OLD)).toBe(200);
  });

  test('that could not be written changes nothing', { timeout: 15_000 }, async () => {
    await using server = await startServer(kept());
    const [owner, other] = [await signedIn(server), await signedIn(server)];
    const hashes = holdNext(server.services.password, 'hash');
    const changing = change(owner, {});
    await hashes.reached;
    const locked = await lockWrites(server);
    hashes.release();
    expect((await changing).status).toBe(503);
    await locked.release();
    for (const client of [owner, other]) expect(await status(client)).toBe(200);
    expect(await login(server, NEW)).toBe(401);
    expect(await login(server, OLD)).toBe(200);
  });
});

describe('a password that the environment sets', () => {
  const cases: [string, () => Promise<Config['password']>][] = [
    ['MASTER_PASSWORD', async () => ({ from: 'MASTER_PASSWORD', plain: PASSWORD })],
    [
      'MASTER_PASSWORD_HASH',
      async () => ({ from: 'MASTER_PASSWORD_HASH', hash: await hashPassword(PASSWORD, { cost: 4 }) }),
    ],
  ];
  test.each(cases)('by %s is not changed: the answer has the line to put there', async (_name, password) => {
    await using server = await startServer({ password: await password() });
    const [owner, other] = [await signedIn(server, PASSWORD), await signedIn(server, PASSWORD)];
    const token = await makeToken(owner);
    for (const face of faces) {
      const input = { current: PASSWORD, revokeTokens: true };
      const refused = await change(owner, input, face);
      expect(refused.status).toBe(409);
      expect(refused.body.code).toBe('CONFLICT');
    }
    const { message } = (await change(owner, { current: PASSWORD })).body;
    const [, line = '', hash = ''] = /(MASTER_PASSWORD_HASH='([^']+)')$/.exec(message) ?? [];
    expect(await verifyPassword(NEW, hash)).toBe(true);
    expect((await change(owner, { current: 'wrong' })).status).toBe(403);

    const check = async () => {
      for (const client of [owner, other]) expect(await status(client)).toBe(200);
      expect(await status(server.client(), token)).toBe(200);
      expect(await login(server, NEW)).toBe(401);
      expect(await login(server, PASSWORD)).toBe(200);
      expect(await eventsOf(owner, 'password.changed')).toEqual([]);
    };
    await check();
    await server.restart();
    await check();

    // The line does what it says.
    expect(line).toBe(`MASTER_PASSWORD_HASH='${hash}'`);
    await server.restart({ password: { from: 'MASTER_PASSWORD_HASH', hash } });
    expect(await login(server, NEW)).toBe(200);
    expect(await status(owner)).toBe(401);
  });

  test('that comes and goes ends the sessions of the other one for good', async () => {
    await using server = await startServer(kept());
    const owner = await signedIn(server);
    const hash = await hashPassword(NEW, { cost: 4 });
    await server.restart({ password: { from: 'MASTER_PASSWORD_HASH', hash } });
    expect(await status(owner)).toBe(401);
    await server.restart();
    expect(await status(owner)).toBe(401);
    const again = await signedIn(server);
    const [event, ...more] = await eventsOf(again, 'session.revoked');
    expect(event).toMatchObject({ detail: 'opened with another password', ip: null, userAgent: null });
    expect(more).toEqual([]);
  });
});

describe('two changes at once', () => {
  /** Which of these passwords opens. */
  const opening = async (server: TestServer, passwords: string[]) => {
    const answers = await Promise.all(
      passwords.map(async (password) => ({ password, code: await login(server, password) })),
    );
    return answers.filter(({ code }) => code === 200).map(({ password }) => password);
  };

  test('from two sessions: one counts, and the other one is refused and ended', async () => {
    await using server = await startServer(kept());
    const owners = [await signedIn(server), await signedIn(server)] as const;
    const checks = holdNext(server.services.attempts, 'prove');
    const [late, early] = owners;
    const first = change(late, { new: 'new password 0' });
    await checks.reached;
    expect((await change(early, { new: 'new password 1' })).body.sessionsEnded).toBe(1);
    checks.release();
    // Both its session and what it gave as the current password are of the past.
    expect([401, 403]).toContain((await first).status);
    expect(await opening(server, [OLD, 'new password 0', 'new password 1'])).toEqual(['new password 1']);
    expect(await status(late)).toBe(401);
    expect(await status(early)).toBe(200);
    expect(await eventsOf(early, 'password.changed')).toHaveLength(1);
  });

  test('from one session, in one batch: one counts, and the other one had the wrong current password', async () => {
    await using server = await startServer(kept());
    const owner = await signedIn(server);
    const answer = await owner.rest('POST', '/../../trpc/auth.changePassword,auth.changePassword?batch=1', {
      0: { current: OLD, new: 'new password 0' },
      1: { current: OLD, new: 'new password 1' },
    });
    const outcomes = answer.body.map(
      (each: { error?: { data: { code: string } } }) => each.error?.data.code ?? 'changed',
    );
    expect(outcomes.toSorted()).toEqual(['FORBIDDEN', 'changed']);
    expect(await opening(server, [OLD, 'new password 0', 'new password 1'])).toEqual([
      `new password ${outcomes.indexOf('changed')}`,
    ]);
    expect(await status(owner)).toBe(200);
  });

  test('on two servers: one counts, on both', async () => {
    await using one = await startServer(kept());
    await using two = await startServer(kept(), { dataDir: one.config.dataDir });
    const owners = [await signedIn(one), await signedIn(two)];
    const answers = await Promise.all(owners.map((owner, index) => change(owner, { new: `new password ${index}` })));
    const winner = answers.findIndex((answer) => answer.status === 200);
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    for (const server of [one, two])
      expect(await opening(server, [OLD, 'new password 0', 'new password 1'])).toEqual([`new password ${winner}`]);
  });
});

describe('while the password is changed', () => {
  test('a sign-in whose password was being checked opens nothing', async () => {
    await using server = await startServer(kept());
    const owner = await signedIn(server);
    const checks = holdNext(server.services.attempts, 'prove');
    const late = server.client();
    const signingIn = late.rest('POST', '/auth/login', { password: OLD });
    await checks.reached;
    expect((await change(owner, {})).status).toBe(200);
    checks.release();
    const answer = await signingIn;
    expect(answer.body).toEqual({ message: 'Wrong password.', code: 'UNAUTHORIZED' });
    expect(answer.headers.getSetCookie()).toEqual([]);
    expect(await server.services.sessions.countLive()).toBe(1);
  });

  test('a step-up with the old one is refused', async () => {
    await using server = await startServer(kept());
    const owner = await signedIn(server);
    server.advance(20 * MINUTE_MS);
    const checks = holdNext(server.services.attempts, 'prove');
    const steppingUp = owner.rest('POST', '/auth/step-up', { password: OLD });
    await checks.reached;
    expect((await change(owner, {})).status).toBe(200);
    checks.release();
    expect((await steppingUp).body).toEqual({ message: 'Wrong password.', code: 'FORBIDDEN' });
    expect((await owner.rest('POST', '/auth/tokens', { name: 'x', scope: 'read' })).status).toBe(403);
  });

  test('a change by a session that is ended meanwhile is refused', async () => {
    await using server = await startServer(kept());
    const [attacker, owner] = [await signedIn(server), await signedIn(server)];
    const hashes = holdNext(server.services.password, 'hash');
    const changing = change(attacker, {});
    await hashes.reached;
    expect((await owner.rest('DELETE', '/auth/sessions')).body).toEqual({ revoked: 1 });
    hashes.release();
    expect((await changing).body).toEqual({ message: 'Sign in first.', code: 'UNAUTHORIZED' });
    expect(await login(server, NEW)).toBe(401);
    expect(await login(server, OLD)).toBe(200);
    expect(await status(owner)).toBe(200);
  });
});

/** Does what `password set` does: other services on the same data folder, as if in another process. */
async function setElsewhere(server: TestServer, next: string, revokeTokens = false) {
  await using store = await openStore(server.config.database);
  const log = createLog({ logLevel: 'silent', logFormat: 'json' });
  await using services = await openServices({ config: server.config, store, log, role: 'tool' });
  return await services.passwordChange.set({ next, revokeTokens });
}

describe('a password that another process sets', () => {
  test('counts at the next sign-in, and ends the sessions of a running server within a second', async () => {
    await using server = await startServer(kept());
    const owner = await signedIn(server);
    const token = await makeToken(owner);
    expect(await status(owner)).toBe(200);
    expect(await setElsewhere(server, NEW)).toEqual({ outcome: 'changed', sessionsEnded: 1, tokensRevoked: 0 });
    expect(await login(server, OLD)).toBe(401);
    expect(await login(server, NEW)).toBe(200);
    server.advance(1000);
    expect(await status(owner)).toBe(401);
    expect(await status(server.client(), token)).toBe(200);
    expect(server.services.password.origin()).toBe('stored');
    const [event] = await eventsOf(await signedIn(server, NEW), 'password.changed');
    expect(event).toMatchObject({ ip: null, userAgent: null, sessionId: null });
  });

  test('revokes the tokens when asked to', async () => {
    await using server = await startServer(kept());
    const token = await makeToken(await signedIn(server));
    expect(await status(server.client(), token)).toBe(200);
    expect(await setElsewhere(server, NEW, true)).toMatchObject({ tokensRevoked: 1 });
    server.advance(1000);
    expect(await status(server.client(), token)).toBe(401);
  });

  test('ends a session, too, whose last use only the running server knows of yet', async () => {
    await using server = await startServer(kept({ sessionExpireMinutes: 10 }));
    await using other = await startServer(kept({ sessionExpireMinutes: 10 }), { dataDir: server.config.dataDir });
    const used = await signedIn(server);
    for (const each of [server, other]) each.advance(9 * MINUTE_MS);
    expect(await status(used)).toBe(200);
    for (const each of [server, other]) each.advance(2 * MINUTE_MS);
    expect((await change(await signedIn(other), {})).status).toBe(200);
    server.advance(1000);
    expect(await status(used)).toBe(401);
  });

  test('is refused where the environment sets it, and changes nothing', async () => {
    await using server = await startServer();
    const owner = await signedIn(server, PASSWORD);
    expect(await setElsewhere(server, NEW)).toMatchObject({ outcome: 'set-by-environment' });
    expect(await login(server, NEW)).toBe(401);
    expect(await status(owner)).toBe(200);
  });
});
