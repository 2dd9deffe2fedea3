import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { hashPassword } from '../../../src/services/password/hashing.ts';
import { cookieValue } from '../../support/cookies.ts';
import { openElsewhere, rowsAtRest } from '../../support/elsewhere.ts';
import { engine, type Face, PASSWORD, startServer } from '../../support/harness.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe('a session', () => {
  test('is opened by the password and shown to its owner', async () => {
    await using server = await startServer();
    const client = server.client();
    const login = await client.rest('POST', '/auth/login', { password: PASSWORD }, { 'user-agent': 'curl/8.5.0' });
    expect(login.body).toEqual({ message: 'Signed in.', authenticated: true, expiresAt: expect.any(String) });
    const me = await client.rest('GET', '/auth/me');
    expect(me.body).toEqual({
      authenticated: true,
      method: 'session',
      session: {
        id: expect.stringMatching(/^[0-9a-f]{24}$/),
        current: true,
        remembered: false,
        createdAt: expect.any(String),
        lastSeenAt: expect.any(String),
        expiresAt: expect.any(String),
        ip: '127.0.0.1',
        userAgent: 'curl/8.5.0',
        device: 'curl',
      },
      token: null,
    });
    const { createdAt, lastSeenAt, expiresAt } = me.body.session;
    expect(Date.parse(expiresAt) - Date.parse(lastSeenAt)).toBe(60 * MINUTE_MS);
    expect(Date.parse(lastSeenAt)).toBeGreaterThanOrEqual(Date.parse(createdAt));
  });

  test('is read in quotes too, as the cookie store of Java sends it (RFC 6265, 4.1.1)', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const [name = '', value = ''] = client.cookie.split('; ')[0]?.split('=') ?? [];
    const quoted = async (cookie: string) =>
      (await server.client().rest('GET', '/auth/me', undefined, { cookie })).status;
    expect(await quoted(`$Version="1"; ${name}="${value}"; $Path="/"`)).toBe(200);
    for (const wrong of [`"${value}`, `${value}"`, `""${value}""`, `"${value}x"`]) {
      expect(await quoted(`${name}=${wrong}`), wrong).toBe(401);
    }
  });

  test('is refused at once after logout, on both faces, also to a copy of its cookie', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const attacker = server.client();
    attacker.cookie = client.cookie;
    expect((await attacker.rest('GET', '/auth/me')).status).toBe(200);
    const logout = await client.rest('POST', '/auth/logout');
    expect(logout.body).toEqual({ message: 'Signed out.', authenticated: false });
    expect(client.cookie).not.toContain('backchannel_session');
    expect((await attacker.rest('GET', '/auth/me')).status).toBe(401);
    expect((await attacker.trpc('query', 'auth.me')).status).toBe(401);
    expect((await attacker.rest('GET', '/auth/status')).body).toEqual({ authenticated: false, expiresAt: null });
  });

  test('is signed out once, however many requests that were let in do so', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const { sessions, events } = server.services;
    const [seen] = await sessions.list();
    const session = seen?.session;
    if (!session) throw new Error('nobody is signed in');
    const caller = { ip: '127.0.0.1', userAgent: null };
    await Promise.all([sessions.signOut(session, caller), sessions.signOut(session, caller)]);
    expect((await events.list({ limit: 100, type: 'logout' })).events).toHaveLength(1);
  });

  test('ends when it is not used for SESSION_EXPIRE_MINUTES, and each use moves that end', async () => {
    await using server = await startServer({ sessionExpireMinutes: 10 });
    const client = server.client();
    await client.signIn();
    for (const _ of [1, 2, 3]) {
      server.advance(9 * MINUTE_MS);
      expect((await client.rest('GET', '/client/protected')).status).toBe(200);
    }
    server.advance(10 * MINUTE_MS);
    expect((await client.rest('GET', '/client/protected')).status).toBe(401);
  });

  test.each<Face>(['REST', 'tRPC'])('is used by what sessions alone may do, too: over %s', async (face) => {
    await using server = await startServer({ sessionExpireMinutes: 10 });
    const client = server.client();
    await client.signIn();
    const made = await client.rest('POST', '/auth/tokens', { name: 'x', scope: 'read' });
    const { id } = made.body.token;
    server.advance(9 * MINUTE_MS);
    const revoked = await (face === 'REST'
      ? client.rest('DELETE', `/auth/tokens/${id}`)
      : client.trpc('mutation', 'auth.tokens.revoke', { id }));
    expect(revoked.status).toBe(200);
    server.advance(9 * MINUTE_MS);
    // Three uses: the token was made, it was revoked, and this.
    expect((await client.rest('GET', '/client/stats')).body.requestCount).toBe(3);
  });

  test('is not kept alive by asking for its status', async () => {
    await using server = await startServer({ sessionExpireMinutes: 10 });
    const client = server.client();
    await client.signIn();
    server.advance(6 * MINUTE_MS);
    expect((await client.rest('GET', '/auth/status')).body.authenticated).toBe(true);
    server.advance(6 * MINUTE_MS);
    expect((await client.rest('GET', '/auth/status')).body.authenticated).toBe(false);
  });

  test('ends SESSION_MAX_DAYS after sign-in, used or not', async () => {
    await using server = await startServer({ sessionMaxDays: 2, sessionExpireMinutes: 2000 });
    const client = server.client();
    await client.signIn();
    for (const _ of [1, 2, 3]) {
      server.advance(0.6 * DAY_MS);
      expect((await client.rest('GET', '/client/protected')).status).toBe(200);
    }
    const stats = await client.rest('GET', '/client/stats');
    expect(stats.body.secondsLeft).toBeLessThanOrEqual(0.2 * 86_400);
    server.advance(0.3 * DAY_MS);
    expect((await client.rest('GET', '/client/protected')).status).toBe(401);
  });

  test('ends by the SESSION_MAX_DAYS in effect, not by the one at its sign-in', async () => {
    await using server = await startServer({ sessionMaxDays: 30 });
    const client = server.client();
    await client.signIn({ remember: true });
    await server.restart({ sessionMaxDays: 1 });
    server.advance(0.9 * DAY_MS);
    expect((await client.rest('GET', '/client/protected')).status).toBe(200);
    server.advance(0.2 * DAY_MS);
    expect((await client.rest('GET', '/client/protected')).status).toBe(401);
  });

  test('that is remembered outlives the idle end, not the absolute one', async () => {
    await using server = await startServer({ sessionMaxDays: 30 });
    const client = server.client();
    const login = await client.signIn({ remember: true });
    expect(Date.parse(login.body.expiresAt) - Date.now()).toBeGreaterThan(29.9 * DAY_MS);
    server.advance(29 * DAY_MS);
    expect((await client.rest('GET', '/auth/me')).body.session).toMatchObject({ remembered: true });
    server.advance(1.1 * DAY_MS);
    expect((await client.rest('GET', '/auth/me')).status).toBe(401);
  });

  test('that the browser had before ends when it signs in again', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const before = server.client();
    before.cookie = client.cookie;
    await client.signIn();
    expect((await before.rest('GET', '/auth/me')).status).toBe(401);
    expect((await client.rest('GET', '/client/dashboard')).body.activeSessions).toBe(1);
  });

  test('survives a restart with its counts', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    await client.rest('GET', '/client/protected');
    await client.rest('GET', '/client/protected');
    await server.restart();
    expect((await client.rest('GET', '/client/stats')).body.requestCount).toBe(3);
  });

  test('counts one request however many procedures a batch calls', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const batch = await client.trpc('query', 'auth.me,client.profile,client.protected?batch=1&input={}');
    expect(batch.body).toHaveLength(3);
    expect((await client.rest('GET', '/client/stats')).body.requestCount).toBe(2);
  });

  test('is ended for good by another password, also when the old one comes back', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    await server.restart({ password: { from: 'MASTER_PASSWORD', plain: 'another password' } });
    expect((await client.rest('GET', '/auth/me')).status).toBe(401);
    await server.restart();
    expect((await client.rest('GET', '/auth/me')).status).toBe(401);
    expect((await client.signIn()).status).toBe(200);
  });

  test('outlives the move of the same password from MASTER_PASSWORD to its kept hash', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    await using database = await openElsewhere(server);
    const [kept] = await database.run<{ hash: string }>(
      "select hash from backchannel_passwords where origin = 'environment'",
    );
    await server.restart({ password: { from: 'MASTER_PASSWORD_HASH', hash: kept?.hash ?? '' } });
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
    expect((await server.client().signIn()).status).toBe(200);
  });

  test('ends when MASTER_PASSWORD_HASH takes over with another hash', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const hash = await hashPassword(PASSWORD, { cost: 4 });
    await server.restart({ password: { from: 'MASTER_PASSWORD_HASH', hash } });
    expect((await client.rest('GET', '/auth/me')).status).toBe(401);
    expect((await client.signIn()).status).toBe(200);
  });
});

describe('what is at rest', () => {
  test('holds neither the token nor the secret in it, nor the password', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const token = cookieValue(client.cookie, 'backchannel_session');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string };
    expect(Buffer.from(jti, 'base64url')).toHaveLength(32);
    const { dataDir } = server.config;
    const files = readdirSync(dataDir).map((name) => readFileSync(join(dataDir, name), 'latin1'));
    if (engine === 'sqlite') expect(files.length).toBeGreaterThan(1);
    const rows = await rowsAtRest(server);
    expect(rows).toContain(createHash('sha256').update(jti).digest('base64url'));
    for (const text of [rows, ...files]) {
      expect(text).not.toContain(jti);
      expect(text).not.toContain(token);
      expect(text).not.toContain(PASSWORD);
    }
  });
});

describe('a token that was not signed as ours', () => {
  const cases: [string, (jti: string, key: Uint8Array) => Promise<string>][] = [
    ['by another key', (jti) => sign(jti, new Uint8Array(32), { kid: 'whatever' })],
    ['without a key id', (jti, key) => sign(jti, key, {})],
    ['of another type', (jti, key) => sign(jti, key, { typ: 'JWT' })],
    ['without a signature', async (jti) => `${part({ alg: 'none' })}.${part({ jti })}.`],
  ];
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sign = (jti: string, key: Uint8Array, header: Record<string, string>) =>
    new SignJWT({ jti })
      .setProtectedHeader({ alg: 'HS256', ...header })
      .setIssuer('backchannel')
      .setAudience('backchannel:session')
      .setExpirationTime('1h')
      .sign(key);

  test.each(cases)('%s opens nothing, even around a real secret', async (_name, forge) => {
    await using server = await startServer({ secretKeys: ['k'.repeat(40)] });
    const client = server.client();
    await client.signIn();
    const token = cookieValue(client.cookie, 'backchannel_session');
    const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string };
    const forger = server.client();
    forger.cookie = `backchannel_session=${await forge(jti, Buffer.from('k'.repeat(40)))}`;
    expect((await forger.rest('GET', '/auth/me')).status).toBe(401);
    forger.cookie = `backchannel_session=${token.slice(0, -2)}xx`;
    expect((await forger.rest('GET', '/auth/me')).status).toBe(401);
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });

  test('by a key that left the ring opens nothing; one that stays in it does', async () => {
    const [old, fresh] = ['o'.repeat(32), 'f'.repeat(32)];
    await using server = await startServer({ secretKeys: [old] });
    const client = server.client();
    await client.signIn();
    await server.restart({ secretKeys: [fresh, old] });
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
    await server.restart({ secretKeys: [fresh] });
    expect((await client.rest('GET', '/auth/me')).status).toBe(401);
  });
});

describe('two servers on one database', () => {
  test('agree on sessions, and a logout on one holds on the other within a second', async () => {
    await using one = await startServer();
    await using two = await startServer({}, { dataDir: one.config.dataDir });
    const client = one.client();
    await client.signIn();
    const elsewhere = two.client();
    elsewhere.cookie = client.cookie;
    expect((await elsewhere.rest('GET', '/auth/me')).status).toBe(200);
    await client.rest('POST', '/auth/logout');
    two.advance(1000);
    expect((await elsewhere.rest('GET', '/auth/me')).status).toBe(401);
  });

  test('that start at once on an empty folder both serve, with one key and one password', async () => {
    await using one = await startServer();
    const { dataDir } = one.config;
    await using two = await startServer({}, { dataDir });
    const starts = await Promise.all([1, 2, 3].map(() => startServer({}, { dataDir })));
    const client = one.client();
    await client.signIn();
    for (const server of [two, ...starts]) {
      const other = server.client();
      other.cookie = client.cookie;
      expect((await other.rest('GET', '/auth/me')).status).toBe(200);
    }
    for (const server of starts) await server[Symbol.asyncDispose]();
  });
});
