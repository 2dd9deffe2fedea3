// API tokens: made, used, seen and ended.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lockWrites, openElsewhere, rowsAtRest, tearTable } from '../support/elsewhere.ts';
import { type Face, operations, PASSWORD, startServer, type TestClient, type TestServer } from '../support/harness.ts';
import { holdNext } from '../support/hold.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const faces: Face[] = ['REST', 'tRPC'];

async function signedIn(server: TestServer): Promise<TestClient> {
  const client = server.client();
  expect((await client.signIn()).status).toBe(200);
  return client;
}

const create = (client: TestClient, input: object = {}) =>
  client.rest('POST', '/auth/tokens', { name: 'a token', scope: 'full', ...input });

/** A token and the header that shows it. */
async function made(client: TestClient, input: object = {}) {
  const { status, body } = await create(client, input);
  expect(status, JSON.stringify(body)).toBe(200);
  return { ...body.token, secret: body.secret, headers: { authorization: `Bearer ${body.secret}` } };
}

const list = async (client: TestClient) => {
  const rest = await client.rest('GET', '/auth/tokens');
  expect((await client.trpc('query', 'auth.tokens.list')).body.result.data).toEqual(rest.body);
  return rest.body.tokens;
};

const call = (server: TestServer, headers: Record<string, string>, path = '/client/protected') =>
  server.client().rest('GET', path, undefined, headers);

const revoke = (face: Face, client: TestClient, id: string) =>
  face === 'REST' ? client.rest('DELETE', `/auth/tokens/${id}`) : client.trpc('mutation', 'auth.tokens.revoke', { id });

/** What the database says of a token, without asking the server to write down what it knows. */
async function rowOf(server: TestServer, id: string) {
  await using elsewhere = await openElsewhere(server);
  const [row] = await elsewhere.run('select * from backchannel_tokens where id = ?', [id]);
  return row;
}

describe('making a token', () => {
  test.each(faces)('answers with what it is and, this once, its secret of 256 bits, over %s', async (face) => {
    await using server = await startServer();
    const client = await signedIn(server);
    const input = { name: 'backup script', scope: 'read', expiresInDays: 90 };
    const answer =
      face === 'REST' ? await create(client, input) : await client.trpc('mutation', 'auth.tokens.create', input);
    const { token, secret } = answer.body.result?.data ?? answer.body;
    expect(secret).toMatch(/^bct_[\w-]{43}$/);
    expect(Buffer.from(secret.slice(4), 'base64url')).toHaveLength(32);
    expect(token).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      name: 'backup script',
      scope: 'read',
      hosts: [],
      prefix: secret.slice(0, 10),
      createdAt: expect.any(String),
      lastUsedAt: null,
      lastUsedIp: null,
      expiresAt: expect.any(String),
    });
    expect(Date.parse(token.expiresAt) - Date.parse(token.createdAt)).toBe(90 * DAY_MS);
    expect(await list(client)).toEqual([token]);
    const [event] = (await client.rest('GET', '/auth/events?type=token.created')).body.events;
    const sessionId = (await client.rest('GET', '/auth/me')).body.session.id;
    expect(event).toMatchObject({ tokenId: token.id, sessionId, detail: 'read: backup script', ip: '127.0.0.1' });
  });

  test('leaves its secret nowhere in the data folder', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { secret, headers } = await made(client);
    expect((await call(server, headers)).status).toBe(200);
    await server.services.activity.flush();
    const folder = server.config.dataDir;
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'));
    const rows = await rowsAtRest(server);
    expect(rows).toContain(secret.slice(0, 10));
    for (const text of [rows, ...files]) expect(text).not.toContain(secret.slice(11));
  });

  const good: [string, object, object][] = [
    ['a name of one character', { name: 'x' }, { name: 'x' }],
    ['a name of 64', { name: 'x'.repeat(64) }, { name: 'x'.repeat(64) }],
    ['a name of 64 that JavaScript counts as 128', { name: '👩'.repeat(64) }, { name: '👩'.repeat(64) }],
    ["a name with quotes, for which SQL has a use: '; --", { name: "'; drop table tokens; --" }, {}],
    ['no end', {}, { expiresAt: null }],
    ['an end in 3650 days', { expiresInDays: 3650 }, {}],
    ['a proxy token without hosts', { scope: 'proxy' }, { hosts: [] }],
    [
      'a proxy token with hosts',
      { scope: 'proxy', hosts: ['photos.example.com', 'nas', '192.0.2.7'] },
      { hosts: ['photos.example.com', 'nas', '192.0.2.7'] },
    ],
    ['no hosts, said of one that has none anyway', { scope: 'read', hosts: [] }, { hosts: [] }],
  ];
  test.each(good)('takes %s', async (_name, input, expected) => {
    await using server = await startServer();
    const client = await signedIn(server);
    expect((await create(client, input)).body.token).toMatchObject(expected);
    expect(await list(client)).toHaveLength(1);
  });

  const bad: [string, object, string][] = [
    ['no name', { name: undefined }, 'name'],
    ['an empty name', { name: '' }, 'name'],
    ['a name of 65 characters', { name: 'x'.repeat(65) }, 'name'],
    ['a name with a line break', { name: 'a\nb' }, 'name'],
    ['a name with a NUL', { name: 'a\0b' }, 'name'],
    ['a name that is a number', { name: 5 }, 'name'],
    ['no scope', { scope: undefined }, 'scope'],
    ['a scope that there is not', { scope: 'admin' }, 'scope'],
    ['hosts for a read token', { scope: 'read', hosts: ['nas'] }, 'hosts'],
    ['hosts for a full token', { scope: 'full', hosts: ['nas'] }, 'hosts'],
    ['a host with a scheme', { scope: 'proxy', hosts: ['https://nas'] }, 'hosts.0'],
    ['a host with a port', { scope: 'proxy', hosts: ['nas', 'nas:8080'] }, 'hosts.1'],
    ['a host in capitals', { scope: 'proxy', hosts: ['NAS'] }, 'hosts.0'],
    ['a host with a wildcard', { scope: 'proxy', hosts: ['*.example.com'] }, 'hosts.0'],
    ['a host with a dot too many', { scope: 'proxy', hosts: ['nas.'] }, 'hosts.0'],
    ['an empty host', { scope: 'proxy', hosts: [''] }, 'hosts.0'],
    ['a host of 254 characters', { scope: 'proxy', hosts: [`${'a.'.repeat(126)}aa`] }, 'hosts.0'],
    ['too many hosts', { scope: 'proxy', hosts: Array(101).fill('nas') }, 'hosts'],
    ['hosts that are no list', { scope: 'proxy', hosts: 'nas' }, 'hosts'],
    ['an end in 0 days', { expiresInDays: 0 }, 'expiresInDays'],
    ['an end in 3651 days', { expiresInDays: 3651 }, 'expiresInDays'],
    ['an end in one and a half days', { expiresInDays: 1.5 }, 'expiresInDays'],
    ['an end in "5" days', { expiresInDays: '5' }, 'expiresInDays'],
    ['an end in null days', { expiresInDays: null }, 'expiresInDays'],
    ['a field that there is not', { secret: 'mine' }, 'secret'],
  ];
  test('refuses what it does not take, on both faces, and makes nothing', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    for (const [name, input, path] of bad) {
      const rest = await create(client, input);
      expect(rest.status, name).toBe(400);
      expect(rest.body.issues, name).toEqual([{ path, message: expect.any(String) }]);
      const body = { name: 'a token', scope: 'full', ...input };
      const trpc = await client.trpc('mutation', 'auth.tokens.create', body);
      expect(trpc.body.error.data, name).toMatchObject({ code: 'BAD_REQUEST', issues: rest.body.issues });
    }
    expect(await list(client)).toEqual([]);
  });

  test('is for a fresh session: for no token, no stranger, and nobody who signed in long ago', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { headers } = await made(client);
    const input = { name: 'x', scope: 'read' };
    expect((await server.client().rest('POST', '/auth/tokens', input, headers)).status).toBe(403);
    expect((await server.client().rest('POST', '/auth/tokens', input)).status).toBe(401);
    server.advance(20 * 60_000);
    expect((await create(client)).body.code).toBe('STEP_UP_REQUIRED');
    expect(await list(client)).toHaveLength(1);
  });

  test('comes to nothing for a session that is ended meanwhile', async () => {
    await using server = await startServer();
    const [client, owner] = [await signedIn(server), await signedIn(server)];
    const freshness = holdNext(server.services.sessions, 'freshness');
    const creating = create(client);
    await freshness.reached;
    expect((await owner.rest('DELETE', '/auth/sessions')).body).toEqual({ revoked: 1 });
    freshness.release();
    expect((await creating).body).toEqual({ message: 'Sign in first.', code: 'UNAUTHORIZED' });
    expect(await list(owner)).toEqual([]);
    expect((await owner.rest('GET', '/auth/events?type=token.created')).body.events).toEqual([]);
  });
});

describe('a token', () => {
  const expectedOf = (scope: string, { access, type }: (typeof operations)[number]) => {
    if (access === 'anyone') return 'served';
    if (scope === 'proxy' || access !== 'operator' || (scope === 'read' && type === 'mutation')) return 'refused';
    return 'served';
  };
  /** What each needs to get past the check of its input. */
  const inputs: Record<string, object> = {
    'auth.login': { password: PASSWORD },
    'auth.hashPassword': { password: 'x' },
    'auth.stepUp': { password: PASSWORD },
    'auth.changePassword': { current: PASSWORD, new: 'another one' },
    'auth.tokens.create': { name: 'x', scope: 'full' },
  };

  test.each(['read', 'full', 'proxy'])(
    'of scope %s opens exactly what that scope does, on both faces',
    async (scope) => {
      await using server = await startServer();
      const client = await signedIn(server);
      const { headers } = await made(client, { scope });
      for (const operation of operations) {
        const { name, type, method, path } = operation;
        const input = inputs[name];
        const id = { id: 'a'.repeat(24) };
        const rest = await server.client().rest(method, path, input, headers);
        const trpc = await server.client().trpc(type, name, input ?? (path.includes(id.id) ? id : undefined), headers);
        expect(trpc.status, name).toBe(rest.status);
        // An unknown id is 404 for callers that may ask.
        expect(rest.status === 403 ? 'refused' : 'served', name).toBe(expectedOf(scope, operation));
        if (rest.status !== 403) expect([200, 404], name).toContain(rest.status);
      }
    },
  );

  test('decides alone: a cookie beside it is ignored, and any other Authorization is no token', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { id, headers } = await made(client);
    expect((await client.rest('GET', '/auth/me', undefined, headers)).body).toMatchObject({ method: 'token' });
    await client.rest('DELETE', `/auth/tokens/${id}`);
    expect((await client.rest('GET', '/auth/me', undefined, headers)).status).toBe(401);
    for (const authorization of ['Basic eDp5', 'Bearer eyJhbGciOiJIUzI1NiJ9', 'Bearer', 'bct_x', 'Bearer ']) {
      const me = await client.rest('GET', '/auth/me', undefined, { authorization });
      expect(me.body.method, authorization).toBe('session');
    }
  });

  test('opens nothing as a cookie, also right after it was shown as what it is', async () => {
    await using server = await startServer();
    const { secret, headers } = await made(await signedIn(server));
    expect((await call(server, headers)).status).toBe(200);
    const client = server.client();
    client.cookie = `backchannel_session=${secret}`;
    expect((await client.rest('GET', '/auth/me')).status).toBe(401);
    expect((await client.rest('GET', '/auth/status')).body.authenticated).toBe(false);
  });

  test('that was never made opens nothing', async () => {
    await using server = await startServer();
    const { secret } = await made(await signedIn(server));
    for (const forged of [`bct_${'A'.repeat(43)}`, secret.slice(0, -1), `${secret}x`, secret.toLowerCase()]) {
      expect((await call(server, { authorization: `Bearer ${forged}` })).status, forged).toBe(401);
    }
  });

  test.each(['/auth/me', '/auth/tokens'])(
    'that has ended is rejected as such, without a hint to sign in: %s',
    async (path) => {
      await using server = await startServer();
      const client = await signedIn(server);
      const { id, headers } = await made(client);
      expect((await client.rest('DELETE', `/auth/tokens/${id}`)).status).toBe(200);
      const message = 'The token is unknown, revoked or expired.';
      expect(await call(server, headers, path)).toMatchObject({ status: 401, body: { message, code: 'UNAUTHORIZED' } });
    },
  );

  test('sees itself in me, profile, status and stats', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { headers, secret, ...token } = await made(client, { expiresInDays: 2 });
    const endless = await made(client);
    server.advance(HOUR_MS);
    const me = (await call(server, headers, '/auth/me')).body;
    const used = { ...token, lastUsedAt: expect.any(String), lastUsedIp: '127.0.0.1' };
    expect(me).toEqual({ authenticated: true, method: 'token', session: null, token: used });
    expect((await call(server, headers, '/client/profile')).body).toEqual({
      principal: 'operator',
      method: 'token',
      session: null,
      token: used,
      ip: '127.0.0.1',
      userAgent: 'node',
      since: token.createdAt,
      until: token.expiresAt,
    });
    const status = (await call(server, headers, '/auth/status')).body;
    expect(status).toEqual({ authenticated: true, expiresAt: token.expiresAt });
    const stats = (await call(server, headers, '/client/stats')).body;
    // me, profile and this one: asking for the status is no use.
    expect(stats).toMatchObject({ requestCount: 3, firstSeenAt: token.createdAt, idleSecondsLeft: null });
    expect(Date.parse(stats.lastSeenAt) - Date.parse(token.createdAt)).toBeGreaterThanOrEqual(HOUR_MS);
    expect(stats.ageSeconds).toBeGreaterThanOrEqual(3600);
    expect(stats.secondsLeft).toBeLessThanOrEqual(47 * 3600);
    expect(stats.secondsLeft).toBeGreaterThan(46 * 3600);
    // What never ends has no time left to tell.
    expect((await call(server, endless.headers, '/auth/status')).body).toEqual({
      authenticated: true,
      expiresAt: null,
    });
    expect((await call(server, endless.headers, '/client/stats')).body).toMatchObject({ secondsLeft: null });
    expect((await call(server, endless.headers, '/client/profile')).body.until).toBeNull();
  });

  test('of scope proxy is nobody here', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { headers } = await made(client, { scope: 'proxy' });
    expect((await call(server, headers, '/auth/status')).body).toEqual({ authenticated: false, expiresAt: null });
    expect((await call(server, headers, '/auth/me')).status).toBe(403);
    // A refused request is no use.
    expect(await list(client)).toEqual([expect.objectContaining({ scope: 'proxy', lastUsedAt: null })]);
  });

  test('is counted in memory, and written down later', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { id, headers } = await made(client);
    // Nothing else flushes in between: each call of stats or of a list would.
    for (const _ of [1, 2, 3]) expect((await call(server, headers)).status).toBe(200);
    const locked = await lockWrites(server);
    // A request does not wait for a write, nor fail for one that cannot be made.
    expect((await call(server, headers)).status).toBe(200);
    await locked.release();
    const shown = (await list(client)).find((token: { id: string }) => token.id === id);
    expect(shown).toMatchObject({ lastUsedAt: expect.any(String), lastUsedIp: '127.0.0.1' });
    expect(await rowOf(server, id)).toMatchObject({ request_count: 4, last_used_ip: '127.0.0.1' });
    await call(server, headers);
    await server.restart();
    expect(await rowOf(server, id)).toMatchObject({ request_count: 5 });
    expect((await call(server, headers, '/client/stats')).body.requestCount).toBe(6);
  });

  test('is still counted after its use could not be written', async () => {
    await using server = await startServer();
    const { id, headers } = await made(await signedIn(server));
    expect((await call(server, headers)).status).toBe(200);
    const torn = await tearTable(server, 'tokens');
    await expect(server.services.activity.flush()).rejects.toThrow();
    await torn.mend();
    await server.services.activity.flush();
    expect(await rowOf(server, id)).toMatchObject({ request_count: 1 });
  });

  test('is counted also while an earlier use is being written', async () => {
    await using server = await startServer();
    const { id, headers } = await made(await signedIn(server));
    expect((await call(server, headers)).status).toBe(200);
    const locked = await lockWrites(server);
    const flushed = server.services.activity.flush();
    expect((await call(server, headers)).status).toBe(200);
    await locked.release();
    await flushed;
    await server.services.activity.flush();
    expect(await rowOf(server, id)).toMatchObject({ request_count: 2 });
  });

  test('of two servers keeps the later use, its address and both counts', async () => {
    const trustedProxies = ['127.0.0.1'];
    await using one = await startServer({ trustedProxies });
    await using two = await startServer({ trustedProxies }, { dataDir: one.config.dataDir });
    const client = await signedIn(one);
    const { id, headers } = await made(client);
    two.advance(HOUR_MS);
    await call(two, { ...headers, 'x-forwarded-for': '203.0.113.2' });
    await call(one, { ...headers, 'x-forwarded-for': '203.0.113.1' });
    await two.services.activity.flush();
    const later = (await rowOf(one, id))?.last_used_at;
    await one.services.activity.flush();
    expect(await rowOf(one, id)).toMatchObject({ request_count: 2, last_used_at: later, last_used_ip: '203.0.113.2' });
  });

  test('ends by the clock', async () => {
    await using server = await startServer({ sessionExpireMinutes: 2000 });
    const client = await signedIn(server);
    const { id, headers } = await made(client, { expiresInDays: 1 });
    server.advance(23 * HOUR_MS);
    expect((await call(server, headers)).status).toBe(200);
    expect((await client.rest('GET', '/client/dashboard')).body.activeTokens).toBe(1);
    server.advance(HOUR_MS);
    expect((await call(server, headers)).status).toBe(401);
    expect(await list(client)).toEqual([]);
    expect((await client.rest('GET', '/client/dashboard')).body.activeTokens).toBe(0);
    expect((await revoke('REST', client, id)).status).toBe(404);
  });
});

describe('the list of tokens', () => {
  test('is newest first and tells no secret', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const names = ['first', 'second', 'third'];
    const secrets: string[] = [];
    for (const name of names) {
      secrets.push((await made(client, { name })).secret);
      server.advance(1000);
    }
    const tokens = await list(client);
    expect(tokens.map(({ name }: { name: string }) => name)).toEqual(names.toReversed());
    for (const secret of secrets) expect(JSON.stringify(tokens)).not.toContain(secret.slice(11));
    expect((await client.rest('GET', '/client/dashboard')).body.activeTokens).toBe(3);
  });
});

describe.each(faces)('revoking a token over %s', (face) => {
  test('holds at once here and within a second elsewhere, and is recorded once', async () => {
    await using one = await startServer();
    await using two = await startServer({}, { dataDir: one.config.dataDir });
    const client = await signedIn(one);
    const { id, headers } = await made(client, { name: 'lost' });
    for (const server of [one, two]) expect((await call(server, headers)).status).toBe(200);
    const answer = await revoke(face, client, id);
    expect(answer.body.result?.data ?? answer.body).toEqual({ revoked: 1 });
    expect((await call(one, headers)).status).toBe(401);
    expect((await one.client().trpc('query', 'auth.me', undefined, headers)).status).toBe(401);
    two.advance(1000);
    expect((await call(two, headers)).status).toBe(401);
    expect((await revoke(face, client, id)).status).toBe(404);
    expect(await list(client)).toEqual([]);
    const { events } = (await client.rest('GET', '/auth/events?type=token.revoked')).body;
    expect(events).toEqual([expect.objectContaining({ tokenId: id, detail: 'full: lost', ip: '127.0.0.1' })]);
  });

  test('twice at once is answered with one 200 and one 404', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { id } = await made(client);
    const answers = await Promise.all([revoke(face, client, id), revoke(face, client, id)]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 404]);
    expect((await client.rest('GET', '/auth/events?type=token.revoked')).body.events).toHaveLength(1);
  });

  test('is answered with 404 for whatever names no live token', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { id } = await made(client);
    const sessionId = (await client.rest('GET', '/auth/me')).body.session.id;
    for (const each of ['0'.repeat(24), sessionId, id.toUpperCase(), 'x', `${id}0`, 'x'.repeat(5000)]) {
      expect((await revoke(face, client, each)).status, each).toBe(404);
    }
    expect((await client.trpc('mutation', 'auth.tokens.revoke', { id: `${id}\0` })).status).toBe(404);
    expect(await list(client)).toHaveLength(1);
  });

  test('is for a session, fresh or not, and for no token', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { id, headers } = await made(client);
    const holder = server.client();
    const answer =
      face === 'REST'
        ? await holder.rest('DELETE', `/auth/tokens/${id}`, undefined, headers)
        : await holder.trpc('mutation', 'auth.tokens.revoke', { id }, headers);
    expect(answer.status).toBe(403);
    expect((await revoke(face, holder, id)).status).toBe(401);
    server.advance(20 * 60_000);
    expect((await revoke(face, client, id)).status).toBe(200);
  });
});
