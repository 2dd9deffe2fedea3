import { expect, test } from 'vitest';
import { startServer } from '../support/harness.ts';

test('the dashboard and the statistics are correct', async () => {
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
