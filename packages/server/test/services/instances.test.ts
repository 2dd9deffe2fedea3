// Several processes on one database, and what becomes of the others when one is gone.
import { expect, test } from 'vitest';
import { openSharedDatabase } from '../support/harness.ts';
import { call, login, startProcess } from '../support/server-process.ts';

test('one of two is killed under load: the other answers on, without an error', { timeout: 60_000 }, async () => {
  await using database = await openSharedDatabase();
  // All come from one address, and what is being checked counts as failed until it is found to be right.
  const env = { ...database.env, SESSION_MAX_LIVE: '10000', LOGIN_MAX_FAILURES: '100' };
  await using doomed = await startProcess(env);
  await using other = await startProcess(env);
  const statuses = { doomed: new Set<number>(), other: new Set<number>() };
  let isOver = false;
  let count = 0;
  const underWay = Promise.withResolvers<void>();
  const work = async (url: string, seen: Set<number>) => {
    while (!isOver) {
      const opened = await login(url);
      // Many sign-ins at once are more than bcrypt takes; those who are turned away are told so, by either.
      if (opened.status === 503 && opened.retryAfter) continue;
      seen.add(opened.status);
      const { cookie } = opened;
      // A session that one has opened is good at the other.
      seen.add((await call(other.url, 'GET /api/v1/auth/me', { cookie })).status);
      seen.add((await call(url, 'POST /api/v1/auth/logout', { cookie })).status);
      count++;
      if (count >= 10) underWay.resolve();
      if (count >= 30) isOver = true;
    }
  };
  const doomedWork = [1, 2, 3].map(() => work(doomed.url, statuses.doomed).catch((error: Error) => error));
  const otherWork = [1, 2, 3].map(() => work(other.url, statuses.other));
  await Promise.race([underWay.promise, Promise.all(otherWork)]);
  await doomed.end('SIGKILL');
  await Promise.all([...otherWork, ...doomedWork]);
  expect([...statuses.other]).toEqual([200]);
  expect([...statuses.doomed]).toEqual([200]);
  expect(other.stderr()).not.toMatch(/"level":"(?:warn|error|fatal)"/);
  expect(await other.end('SIGTERM')).toEqual({ code: 0, signal: null });
});

test('a rolling restart loses no request: the new one is ready before the old one ends', {
  timeout: 60_000,
}, async () => {
  await using database = await openSharedDatabase();
  await using old = await startProcess(database.env);
  const { cookie } = await login(old.url);
  let target = old.url;
  let isOver = false;
  const statuses = new Set<number>();
  const use = async () => {
    while (!isOver) statuses.add((await call(target, 'GET /api/v1/auth/verify', { cookie })).status);
  };
  const users = [1, 2, 3, 4].map(use);
  await using next = await startProcess(database.env);
  await expect.poll(async () => (await call(next.url, 'GET /readyz')).status).toBe(200);
  // As a load balancer does: from now on there, and what is under way here ends here.
  target = next.url;
  expect(await old.end('SIGTERM')).toEqual({ code: 0, signal: null });
  expect((await call(next.url, 'GET /api/v1/auth/me', { cookie })).status).toBe(200);
  isOver = true;
  await Promise.all(users);
  expect([...statuses]).toEqual([204]);
});
