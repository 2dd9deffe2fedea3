// A clock that was wrong: times in the future extend nothing, neither after a restart nor when the clock is set back while the
// server runs.
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { PASSWORD, startServer, type TestClient, type TestServer } from '../support/harness.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Longer than every limit there is. */
const AHEAD_MS = 500 * DAY_MS;

let write: MockInstance;
beforeEach(() => {
  write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => write.mockRestore());
const warnings = (): string[] =>
  write.mock.calls
    .map(([line]) => JSON.parse(String(line)))
    .filter(({ level, msg }) => level === 'warn' && msg.includes('in the future'))
    .map(({ msg }) => msg);

const start = () =>
  startServer(
    { sessionExpireMinutes: 60, sessionMaxDays: 2, stepUpMinutes: 15, loginMaxFailures: 5, loginWindowMinutes: 15 },
    { log: createLog({ logLevel: 'warn', logFormat: 'json' }) },
  );

/** The ways in which a clock comes back. */
const returns = [
  ['after a restart', (server: TestServer) => server.restart()],
  ['while the server runs', (server: TestServer) => server.services.tasks.run('future-times')],
] as const;

async function signedIn(server: TestServer, options: { remember?: boolean } = {}): Promise<TestClient> {
  const client = server.client();
  expect((await client.signIn(options)).status).toBe(200);
  return client;
}

const fail = (client: TestClient) => client.rest('POST', '/auth/login', { password: 'wrong' });
const createToken = (client: TestClient, input: object = {}) =>
  client.rest('POST', '/auth/tokens', { name: 'x', scope: 'full', ...input });
const status = async (client: TestClient) => (await client.rest('GET', '/auth/status')).body;

describe.each(returns)('a clock that was ahead and is right again %s', (_when, settle) => {
  test('makes nobody wait longer than LOGIN_WINDOW_MINUTES', async () => {
    await using server = await start();
    server.advance(AHEAD_MS);
    for (let index = 0; index < 5; index++) await fail(server.client());
    server.advance(-AHEAD_MS);
    await settle(server);
    const answer = await fail(server.client());
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(15 * 60);
    server.advance(15 * MINUTE_MS);
    expect((await server.client().signIn()).status).toBe(200);
  });

  test.each([
    ['SESSION_EXPIRE_MINUTES', {}, 60 * MINUTE_MS],
    ['SESSION_MAX_DAYS', { remember: true }, 2 * DAY_MS],
  ])('keeps no session longer than %s', async (_name, options, limitMs) => {
    await using server = await start();
    server.advance(AHEAD_MS);
    const client = await signedIn(server, options);
    server.advance(-AHEAD_MS);
    await settle(server);
    const { authenticated, expiresAt } = await status(client);
    expect(authenticated).toBe(true);
    expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.now() + limitMs);
    server.advance(limitMs + 1000);
    expect(await status(client)).toEqual({ authenticated: false, expiresAt: null });
  });

  test('makes no session recently authenticated, whether it signed in then or stepped up then', async () => {
    await using server = await start();
    // So far that the earlier session is still alive.
    const aheadMs = DAY_MS;
    const earlier = await signedIn(server, { remember: true });
    server.advance(aheadMs);
    const later = await signedIn(server);
    expect((await earlier.rest('POST', '/auth/step-up', { password: PASSWORD })).status).toBe(200);
    await server.services.activity.flush();
    // The earlier one signed in too long ago by the right clock as well.
    server.advance(20 * MINUTE_MS - aheadMs);
    await settle(server);
    for (const client of [earlier, later]) {
      expect((await createToken(client)).body.code).toBe('STEP_UP_REQUIRED');
      expect((await client.rest('POST', '/auth/step-up', { password: PASSWORD })).status).toBe(200);
      expect((await createToken(client)).status).toBe(200);
    }
  });

  test('gives a token the days that it was meant to have', async () => {
    await using server = await start();
    server.advance(AHEAD_MS);
    const { body } = await createToken(await signedIn(server), { expiresInDays: 7 });
    server.advance(-AHEAD_MS);
    await settle(server);
    const headers = { authorization: `Bearer ${body.secret}` };
    const [token] = (await server.client().rest('GET', '/auth/tokens', undefined, headers)).body.tokens;
    expect(Date.parse(token.expiresAt)).toBeLessThanOrEqual(Date.now() + 7 * DAY_MS);
    server.advance(7 * DAY_MS + 1000);
    expect((await server.client().rest('GET', '/auth/tokens', undefined, headers)).status).toBe(401);
  });

  test('is mentioned once in the log, and right times are left alone', async () => {
    await using server = await start();
    const before = await signedIn(server);
    const { expiresAt } = await status(before);
    await server.restart();
    expect(warnings()).toEqual([]);
    server.advance(AHEAD_MS);
    await fail(server.client());
    server.advance(-AHEAD_MS);
    await settle(server);
    await server.services.tasks.run('future-times');
    expect(warnings()).toEqual([expect.stringMatching(/^\d+ row\(s\) .* now count from now$/)]);
    expect((await status(before)).expiresAt).toBe(expiresAt);
  });
});

test('until the next correction, a time in the future counts as now', async () => {
  await using server = await start();
  server.advance(AHEAD_MS);
  const client = await signedIn(server);
  for (let index = 0; index < 5; index++) await fail(server.client());
  server.advance(-AHEAD_MS);
  expect(Date.parse((await status(client)).expiresAt)).toBeLessThanOrEqual(Date.now() + 60 * MINUTE_MS);
  expect((await createToken(client)).body.code).toBe('STEP_UP_REQUIRED');
  expect(Number((await fail(server.client())).headers.get('retry-after'))).toBeLessThanOrEqual(15 * 60);
});
