// The seed's nine operations, each by REST and by tRPC: the same answer to the same caller.
import { expect, test } from 'vitest';
import { buildOperations, listProcedures } from '../src/http/rest.ts';
import { appRouter } from '../src/router.ts';
import { PASSWORD, startServer } from './harness.ts';

const inputs: Record<string, unknown> = {
  'auth.login': { password: PASSWORD },
  'auth.hashPassword': { password: 'mynewpassword' },
};
const procedures = listProcedures(appRouter);

/** What differs from call to call: times, ids, salts and counters. */
const stable = (body: unknown): unknown =>
  JSON.parse(
    JSON.stringify(body, (key, value) => {
      const changes = /At$|^(at|id|since|until|hash|base64|env|requestCount|recentEvents|sessionId)$|Seconds|Left$/;
      return changes.test(key) && value !== null ? typeof value : value;
    }),
  );

test('every seed operation has its REST path and its tRPC name', () => {
  const paths = procedures.map(({ name, meta }) => `${meta.openapi.method} ${meta.openapi.path} ${name}`);
  expect(paths).toEqual(
    expect.arrayContaining([
      'POST /auth/login auth.login',
      'POST /auth/logout auth.logout',
      'GET /auth/me auth.me',
      'GET /auth/status auth.status',
      'POST /auth/hash-password auth.hashPassword',
      'GET /client/profile client.profile',
      'GET /client/dashboard client.dashboard',
      'GET /client/stats client.stats',
      'GET /client/protected client.protected',
    ]),
  );
  expect(buildOperations(appRouter).size).toBeGreaterThan(0);
});

test.each(procedures)('$name answers alike on both faces, to the operator and to a stranger', async ({ name, type, meta }) => {
  await using server = await startServer();
  const { method, path } = meta.openapi;
  const input = inputs[name];
  for (const isSignedIn of [true, false]) {
    const [one, two] = [server.client(), server.client()];
    if (isSignedIn) await Promise.all([one.signIn(), two.signIn()]);
    const rest = await one.rest(method, path, input);
    const trpc = await two.trpc(type, name, input);
    expect(trpc.status).toBe(rest.status);
    expect(rest.status).toBe(!isSignedIn && meta.access !== 'anyone' ? 401 : 200);
    if (rest.status === 200) expect(stable(trpc.body.result.data)).toEqual(stable(rest.body));
    else {
      expect(rest.body).toEqual({ message: 'Sign in first.', code: 'UNAUTHORIZED' });
      expect(trpc.body.error.data).toEqual({ code: 'UNAUTHORIZED', httpStatus: 401 });
    }
  }
});

test('the dashboard and the statistics are true', async () => {
  await using server = await startServer();
  const [owner, other, stranger] = [server.client(), server.client(), server.client()];
  await stranger.rest('POST', '/auth/login', { password: 'wrong' });
  server.advance(3 * 86_400_000);
  await stranger.rest('POST', '/auth/login', { password: 'wrong' });
  await stranger.rest('POST', '/auth/login', { password: 'wrong' });
  await other.signIn();
  const signedIn = await owner.signIn();
  expect(signedIn.status).toBe(200);
  const { body } = await owner.rest('GET', '/client/dashboard');
  expect(body).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+/), activeSessions: 2, activeTokens: 0 });
  expect(body.uptimeSeconds).toBeGreaterThanOrEqual(3 * 86_400);
  expect(body.failedLogins24h).toBe(2);
  expect(body.recentEvents.map((event: { type: string }) => event.type)).toEqual([
    'login.succeeded',
    'login.succeeded',
    'login.failed',
    'login.failed',
    'login.failed',
    'server.started',
  ]);
  expect(body.recentEvents[0].at).toBe(body.lastLoginAt);
  expect(body.loginsPerDay).toHaveLength(14);
  expect(body.loginsPerDay.at(-1)).toEqual({ date: body.lastLoginAt.slice(0, 10), count: 2 });
  expect(body.loginsPerDay.slice(0, -1).every((day: { count: number }) => day.count === 0)).toBe(true);

  await other.rest('POST', '/auth/logout');
  server.advance(10_000);
  const stats = await owner.rest('GET', '/client/stats');
  expect(stats.body.requestCount).toBe(2);
  expect(stats.body.ageSeconds).toBeGreaterThanOrEqual(10);
  // Whole seconds, rounded down.
  expect([3599, 3600]).toContain(stats.body.idleSecondsLeft);
  expect(stats.body.secondsLeft + stats.body.ageSeconds).toBeGreaterThanOrEqual(30 * 86_400 - 1);
  expect(stats.body.secondsLeft + stats.body.ageSeconds).toBeLessThanOrEqual(30 * 86_400);
  expect((await owner.rest('GET', '/client/dashboard')).body.activeSessions).toBe(1);
});
