// Sessions as the operator sees and ends them, and what makes one fresh.
import { describe, expect, test, vi } from 'vitest';
import { lockWrites } from '../../support/elsewhere.ts';
import { type Face, PASSWORD, startServer, type TestClient, type TestServer } from '../../support/harness.ts';
import { holdNext } from '../../support/hold.ts';

const MINUTE_MS = 60_000;
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const faces: Face[] = ['REST', 'tRPC'];

async function signedIn(server: TestServer, userAgent = 'node'): Promise<{ client: TestClient; id: string }> {
  const client = server.client();
  const login = await client.rest('POST', '/auth/login', { password: PASSWORD }, { 'user-agent': userAgent });
  expect(login.status).toBe(200);
  return { client, id: await ownId(client) };
}
const ownId = async (client: TestClient): Promise<string> => (await client.rest('GET', '/auth/me')).body.session.id;

/** A second bearer of the same cookies, on this server or another. */
function copyOf(client: TestClient, server: TestServer): TestClient {
  const copy = server.client();
  copy.cookie = client.cookie;
  return copy;
}

const status = async (client: TestClient) => (await client.rest('GET', '/client/protected')).status;

async function list(client: TestClient, headers: Record<string, string> = {}) {
  const rest = await client.rest('GET', '/auth/sessions', undefined, headers);
  const trpc = await client.trpc('query', 'auth.sessions.list', undefined, headers);
  const ids = (sessions: { id: string }[]) => sessions.map(({ id }) => id);
  expect(ids(trpc.body.result.data.sessions)).toEqual(ids(rest.body.sessions));
  return rest.body.sessions;
}

async function eventsOf(server: TestServer, type: string, sessionId?: string) {
  const { events } = (await (await signedIn(server)).client.rest('GET', `/auth/events?limit=100&type=${type}`)).body;
  return events.filter((event: { sessionId: string }) => sessionId === undefined || event.sessionId === sessionId);
}

const revoke = async (face: Face, client: TestClient, id: string, headers: Record<string, string> = {}) =>
  face === 'REST'
    ? client.rest('DELETE', `/auth/sessions/${id}`, undefined, headers)
    : client.trpc('mutation', 'auth.sessions.revoke', { id }, headers);

async function makeToken(client: TestClient, scope: 'read' | 'full'): Promise<{ authorization: string }> {
  const made = await client.rest('POST', '/auth/tokens', { name: scope, scope });
  return { authorization: `Bearer ${made.body.secret}` };
}

describe('the list of sessions', () => {
  test('shows where each was opened and when it was last used, newest first, with the own one marked', async () => {
    await using server = await startServer();
    const first = await signedIn(server, FIREFOX);
    server.advance(MINUTE_MS);
    const second = await signedIn(server, 'curl/8.5.0');
    server.advance(5 * MINUTE_MS);
    await first.client.rest('GET', '/client/protected');
    const sessions = await list(second.client);
    expect(sessions).toEqual([
      {
        id: second.id,
        current: true,
        remembered: false,
        createdAt: expect.any(String),
        lastSeenAt: expect.any(String),
        expiresAt: expect.any(String),
        ip: '127.0.0.1',
        userAgent: 'curl/8.5.0',
        device: 'curl',
      },
      expect.objectContaining({ id: first.id, current: false, userAgent: FIREFOX, device: 'Firefox on Linux' }),
    ]);
    const [, { createdAt, lastSeenAt, expiresAt }] = sessions;
    expect(Date.parse(lastSeenAt) - Date.parse(createdAt)).toBeGreaterThanOrEqual(6 * MINUTE_MS);
    expect(Date.parse(expiresAt) - Date.parse(lastSeenAt)).toBe(60 * MINUTE_MS);
  });

  test('counts the last use that only memory knows of, and leaves out what has expired', async () => {
    await using server = await startServer({ sessionExpireMinutes: 10 });
    const [used, unused] = [await signedIn(server), await signedIn(server)];
    server.advance(9 * MINUTE_MS);
    expect(await status(used.client)).toBe(200);
    server.advance(2 * MINUTE_MS);
    const { client, id } = await signedIn(server);
    expect((await list(client)).map((session: { id: string }) => session.id)).toEqual([id, used.id]);
    expect((await client.rest('GET', '/client/dashboard')).body.activeSessions).toBe(2);
    expect(await status(unused.client)).toBe(401);
    expect(await status(used.client)).toBe(200);
  });

  test('marks none as the own one for a token', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    const sessions = await list(server.client(), await makeToken(client, 'read'));
    expect(sessions.map(({ current }: { current: boolean }) => current)).toEqual([false]);
  });

  test('keeps a use that was written twice over known to an answer that the gate read before', async () => {
    await using server = await startServer({ sessionExpireMinutes: 10 });
    const { client } = await signedIn(server);
    server.advance(10 * MINUTE_MS - 400);
    // The gate keeps the row as it read it here: last seen at sign-in.
    expect((await client.rest('GET', '/auth/status')).body.authenticated).toBe(true);
    for (const _ of [1, 2, 3]) expect((await client.rest('GET', '/auth/sessions')).status).toBe(200);
    await server.services.activity.flush();
    server.advance(500);
    expect(await status(client)).toBe(200);
  });
});

describe.each(faces)('revoking a session over %s', (face) => {
  test('ends it at once, to every copy of its cookie, and records it once', async () => {
    await using server = await startServer();
    const [owner, other] = [await signedIn(server), await signedIn(server, FIREFOX)];
    const copy = copyOf(other.client, server);
    expect(await status(copy)).toBe(200);
    const answer = await revoke(face, owner.client, other.id);
    expect(answer.body.result?.data ?? answer.body).toEqual({ revoked: 1 });
    for (const client of [other.client, copy]) expect(await status(client)).toBe(401);
    expect(await status(owner.client)).toBe(200);
    expect((await revoke(face, owner.client, other.id)).status).toBe(404);
    const events = await eventsOf(server, 'session.revoked', other.id);
    // The address of the caller that revoked it, not of the session.
    expect(events).toEqual([expect.objectContaining({ ip: '127.0.0.1', userAgent: 'node', detail: null })]);
  });

  test('clears the cookie of the own one, and the browser counts as a stranger again', async () => {
    await using server = await startServer();
    const { client, id } = await signedIn(server);
    const copy = copyOf(client, server);
    const answer = await revoke(face, client, id);
    expect(answer.status).toBe(200);
    expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^backchannel_session=;.*Max-Age=0/)]);
    expect(await status(copy)).toBe(401);
    const device = /backchannel_device=([^;]+)/.exec(copy.cookie)?.[1] ?? '';
    expect(await server.services.devices.identify([device])).toBeNull();
  });

  test('is answered with 404 for whatever names no live session, and ends nothing', async () => {
    await using server = await startServer({ sessionExpireMinutes: 10 });
    const expired = await signedIn(server);
    server.advance(11 * MINUTE_MS);
    const [{ client, id }, ended, other] = [await signedIn(server), await signedIn(server), await signedIn(server)];
    await ended.client.rest('POST', '/auth/logout');
    const { token } = (await client.rest('POST', '/auth/tokens', { name: 'x', scope: 'read' })).body;
    const [event] = (await client.rest('GET', '/auth/events')).body.events;
    const unknown = ['0'.repeat(24), expired.id, ended.id, token.id, event.id, other.id.toUpperCase()];
    const garbage = ['x', other.id.slice(1), `${other.id}0`, `${other.id}%00`, '..', "'--", '%', 'é', 'x'.repeat(5000)];
    for (const each of [...unknown, ...garbage.map((text) => (face === 'REST' ? encodeURIComponent(text) : text))]) {
      if (face === 'REST' && each === '..') continue; // no path can say it
      const answer = await revoke(face, client, each);
      expect(answer.status, each).toBe(404);
    }
    if (face === 'tRPC')
      for (const each of ['', '\0', `${other.id}\0`]) expect((await revoke(face, client, each)).status).toBe(404);
    expect((await client.trpc('mutation', 'auth.sessions.revoke', { id: 5 })).status).toBe(400);
    expect((await list(client)).map((session: { id: string }) => session.id).sort()).toEqual([id, other.id].sort());
    expect(await eventsOf(server, 'session.revoked')).toEqual([]);
    // The expired one ends as well, and is recorded as expired.
    expect(await eventsOf(server, 'session.expired', expired.id)).toHaveLength(1);
  });

  test('twice at once, on two servers, is answered with one 200 and one 404, and recorded once', async () => {
    await using one = await startServer();
    await using two = await startServer({}, { dataDir: one.config.dataDir });
    for (const servers of [
      [one, one],
      [one, two],
    ] as const) {
      const [owner, other] = [await signedIn(one), await signedIn(one)];
      const answers = await Promise.all(servers.map((server) => revoke(face, copyOf(owner.client, server), other.id)));
      expect(answers.map((answer) => answer.status).sort()).toEqual([200, 404]);
      expect(await eventsOf(one, 'session.revoked', other.id)).toHaveLength(1);
    }
  });

  test('is for the operator: not for strangers, nor for a token that only reads', async () => {
    await using server = await startServer();
    const { client, id } = await signedIn(server);
    const stranger = server.client();
    expect((await revoke(face, stranger, id)).status).toBe(401);
    expect((await revoke(face, stranger, id, await makeToken(client, 'read'))).status).toBe(403);
    expect(await status(client)).toBe(200);
    const byToken = await revoke(face, stranger, id, await makeToken(client, 'full'));
    expect(byToken.status).toBe(200);
    expect(byToken.headers.getSetCookie()).toEqual([]);
    expect(await status(client)).toBe(401);
  });
});

describe('a revocation', () => {
  test('holds on another server within a second', async () => {
    await using one = await startServer();
    await using two = await startServer({}, { dataDir: one.config.dataDir });
    const [owner, other] = [await signedIn(one), await signedIn(one)];
    const elsewhere = copyOf(other.client, two);
    expect(await status(elsewhere)).toBe(200);
    await owner.client.rest('DELETE', `/auth/sessions/${other.id}`);
    two.advance(1000);
    expect(await status(elsewhere)).toBe(401);
  });

  test('that could not be written is answered with 503, and the session goes on', { timeout: 15_000 }, async () => {
    await using server = await startServer();
    const [owner, other] = [await signedIn(server), await signedIn(server)];
    const locked = await lockWrites(server);
    expect((await revoke('REST', owner.client, other.id)).status).toBe(503);
    expect(await status(other.client)).toBe(200);
    await locked.release();
    expect((await revoke('REST', owner.client, other.id)).status).toBe(200);
    expect(await status(other.client)).toBe(401);
  });
});

describe('revoking all other sessions', () => {
  test.each(faces)('keeps the own one, over %s, with one event for each that ended', async (face) => {
    await using server = await startServer();
    const [owner, ...others] = [await signedIn(server), await signedIn(server), await signedIn(server)];
    const revokeOthers = async () => {
      if (face === 'REST') return (await owner.client.rest('DELETE', '/auth/sessions')).body;
      return (await owner.client.trpc('mutation', 'auth.sessions.revokeOthers')).body.result.data;
    };
    expect(await revokeOthers()).toEqual({ revoked: 2 });
    for (const { client } of others) expect(await status(client)).toBe(401);
    expect(await status(owner.client)).toBe(200);
    expect(await revokeOthers()).toEqual({ revoked: 0 });
    const events = await eventsOf(server, 'session.revoked');
    const ids = (sessions: { id: string }[]) => sessions.map(({ id }) => id).sort();
    expect(events.map((event: { sessionId: string }) => event.sessionId).sort()).toEqual(ids(others));
  });

  test('ends every one for a token, which has no session', async () => {
    await using server = await startServer();
    const sessions = [await signedIn(server), await signedIn(server)];
    const token = await makeToken(sessions[0]?.client ?? server.client(), 'full');
    // The cookie beside a token is ignored: its session ends, too.
    const answer = await sessions[0]?.client.rest('DELETE', '/auth/sessions', undefined, token);
    expect(answer?.body).toEqual({ revoked: 2 });
    for (const { client } of sessions) expect(await status(client)).toBe(401);
    expect((await server.client().rest('GET', '/auth/me', undefined, token)).status).toBe(200);
  });

  test('ends one, too, whose last use only another server knows of yet', async () => {
    await using one = await startServer({ sessionExpireMinutes: 10 });
    await using two = await startServer({ sessionExpireMinutes: 10 }, { dataDir: one.config.dataDir });
    const elsewhere = copyOf((await signedIn(one)).client, two);
    for (const server of [one, two]) server.advance(9 * MINUTE_MS);
    expect(await status(elsewhere)).toBe(200);
    for (const server of [one, two]) server.advance(2 * MINUTE_MS);
    const { client } = await signedIn(one);
    await client.rest('DELETE', '/auth/sessions');
    two.advance(1000);
    expect(await status(elsewhere)).toBe(401);
  });
});

describe('signing in', () => {
  test('with a session ends that one, once, however many sign in with it at once', async () => {
    await using server = await startServer();
    const { client, id } = await signedIn(server);
    const copies = [copyOf(client, server), copyOf(client, server), copyOf(client, server)];
    for (const login of await Promise.all(copies.map((copy) => copy.signIn()))) expect(login.status).toBe(200);
    expect(await status(client)).toBe(401);
    for (const copy of copies) expect(await status(copy)).toBe(200);
    const [event, ...more] = await eventsOf(server, 'session.revoked', id);
    expect(event.detail).toBe('replaced by a new sign-in');
    expect(more).toEqual([]);
  });

  test('with a wrong password leaves the session that there is', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    expect((await client.rest('POST', '/auth/login', { password: 'wrong' })).status).toBe(401);
    expect(await status(client)).toBe(200);
  });

  test('beyond SESSION_MAX_LIVE ends the least recently used: at once here, within a second elsewhere', async () => {
    await using one = await startServer({ sessionMaxLive: 3 });
    await using two = await startServer({ sessionMaxLive: 3 }, { dataDir: one.config.dataDir });
    const [a, b, c] = [await signedIn(one), await signedIn(one), await signedIn(one)];
    const elsewhere = copyOf(b.client, two);
    expect(await status(elsewhere)).toBe(200);
    await two.services.activity.flush();
    one.advance(MINUTE_MS);
    for (const { client } of [a, c]) expect(await status(client)).toBe(200);
    // Asking for the status is no use, but the gate keeps the answer.
    expect((await b.client.rest('GET', '/auth/status')).body.authenticated).toBe(true);
    const d = await signedIn(one);
    expect(await status(b.client)).toBe(401);
    two.advance(1000);
    expect(await status(elsewhere)).toBe(401);
    for (const { client } of [a, c, d]) expect(await status(client)).toBe(200);
    expect(await eventsOf(one, 'session.revoked', b.id)).toEqual([
      expect.objectContaining({ detail: 'more than SESSION_MAX_LIVE', ip: null }),
    ]);
  });

  test('many at once leave no more than SESSION_MAX_LIVE', async () => {
    await using server = await startServer({ sessionMaxLive: 3 });
    const logins = await Promise.all(Array.from({ length: 8 }, () => server.client().signIn()));
    expect(logins.map((login) => login.status)).toEqual(Array(8).fill(200));
    expect(await server.services.sessions.countLive()).toBe(3);
  });

  test('ends another one than itself, also where that was used at a later time by another clock', async () => {
    await using one = await startServer({ sessionMaxLive: 1 });
    await using two = await startServer({ sessionMaxLive: 1 }, { dataDir: one.config.dataDir });
    two.advance(5 * MINUTE_MS);
    const ahead = await signedIn(two);
    await two.services.activity.flush();
    const { client } = await signedIn(one);
    expect(await status(client)).toBe(200);
    expect(await status(copyOf(ahead.client, one))).toBe(401);
    expect(await one.services.sessions.countLive()).toBe(1);
  });
});

describe('a fresh sign-in', () => {
  const makes = async (face: Face, client: TestClient) => {
    const input = { name: 'x', scope: 'read' };
    if (face === 'REST') return client.rest('POST', '/auth/tokens', input);
    return client.trpc('mutation', 'auth.tokens.create', input);
  };

  test.each(faces)(
    'is one within STEP_UP_MINUTES, by the clock; then the password is asked for, over %s',
    async (face) => {
      await using server = await startServer({ stepUpMinutes: 5 });
      const { client } = await signedIn(server);
      server.advance(4 * MINUTE_MS);
      expect((await makes(face, client)).status).toBe(200);
      server.advance(MINUTE_MS);
      const refused = await makes(face, client);
      expect(refused.status).toBe(403);
      expect((refused.body.error?.data ?? refused.body).code).toBe('STEP_UP_REQUIRED');
      const stepUp =
        face === 'REST'
          ? await client.rest('POST', '/auth/step-up', { password: PASSWORD })
          : await client.trpc('mutation', 'auth.stepUp', { password: PASSWORD });
      expect(stepUp.body.result?.data ?? stepUp.body).toEqual({ message: 'Stepped up.' });
      server.advance(4 * MINUTE_MS);
      expect((await makes(face, client)).status).toBe(200);
      server.advance(MINUTE_MS);
      expect((await makes(face, client)).status).toBe(403);
    },
  );

  test('is over when STEP_UP_MINUTES have passed, to the millisecond', async () => {
    const frozen = vi.spyOn(Date, 'now').mockReturnValue(Date.now());
    try {
      await using server = await startServer({ stepUpMinutes: 5 });
      const { client } = await signedIn(server);
      server.advance(5 * MINUTE_MS - 1);
      expect((await makes('REST', client)).status).toBe(200);
      server.advance(1);
      expect((await makes('REST', client)).status).toBe(403);
    } finally {
      frozen.mockRestore();
    }
  });

  test('is no fresher for being used, and is remembered over a restart and on another server', async () => {
    await using one = await startServer({ stepUpMinutes: 5, sessionExpireMinutes: 60 });
    await using two = await startServer({ stepUpMinutes: 5 }, { dataDir: one.config.dataDir });
    const { client } = await signedIn(one);
    for (const _ of [1, 2, 3]) {
      for (const server of [one, two]) server.advance(2 * MINUTE_MS);
      expect(await status(client)).toBe(200);
    }
    const elsewhere = copyOf(client, two);
    expect((await makes('REST', elsewhere)).status).toBe(403);
    await client.rest('POST', '/auth/step-up', { password: PASSWORD });
    expect((await makes('REST', copyOf(client, two))).status).toBe(200);
    await one.restart();
    expect((await makes('REST', client)).status).toBe(200);
  });

  test('is not made by a wrong password, which is counted and recorded with its session', async () => {
    await using server = await startServer({ stepUpMinutes: 5, loginMaxFailures: 3 });
    const { client, id } = await signedIn(server);
    server.advance(6 * MINUTE_MS);
    for (const expected of [403, 403, 403, 429]) {
      expect((await client.rest('POST', '/auth/step-up', { password: 'wrong' })).status).toBe(expected);
    }
    expect((await makes('REST', client)).body.code).toBe('STEP_UP_REQUIRED');
    expect(await status(client)).toBe(200);
    expect(await eventsOf(server, 'step-up.failed', id)).toHaveLength(3);
    expect(await eventsOf(server, 'login.failed')).toEqual([]);
  });

  test('moves neither end of the session', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    const before = (await client.rest('GET', '/client/stats')).body.secondsLeft;
    server.advance(20 * MINUTE_MS);
    await client.rest('POST', '/auth/step-up', { password: PASSWORD });
    const after = (await client.rest('GET', '/client/stats')).body.secondsLeft;
    expect(before - after).toBeGreaterThanOrEqual(20 * 60);
  });

  test('is nothing that a token or a stranger can have', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    const token = await makeToken(client, 'full');
    for (const [path, body] of [
      ['/auth/step-up', { password: PASSWORD }],
      ['/auth/tokens', { name: 'x', scope: 'read' }],
    ] as const) {
      expect((await server.client().rest('POST', path, body, token)).status).toBe(403);
      expect((await server.client().rest('POST', path, body)).status).toBe(401);
    }
  });

  test('is refused to a session that was ended while its password was being checked', async () => {
    await using server = await startServer();
    const [owner, other] = [await signedIn(server), await signedIn(server)];
    const checks = holdNext(server.services.attempts, 'prove');
    const stepUp = other.client.rest('POST', '/auth/step-up', { password: PASSWORD });
    await checks.reached;
    await owner.client.rest('DELETE', `/auth/sessions/${other.id}`);
    checks.release();
    expect((await stepUp).body).toEqual({ message: 'Sign in first.', code: 'UNAUTHORIZED' });
  });
});
