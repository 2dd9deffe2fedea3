// PostgreSQL away, as those who call the server see it.
import { expect, test } from 'vitest';
import { openCable } from '../support/cable.ts';
import { openSharedDatabase } from '../support/harness.ts';
import { call, login, startProcess } from '../support/server-process.ts';

/** A server whose way to its database is a cable, and somebody who is signed in. */
async function startOverCable() {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await openSharedDatabase());
  const address = new URL(database.env.DATABASE_URL ?? '');
  const cable = opened.use(await openCable({ host: address.hostname, port: Number(address.port) }));
  address.port = String(cable.port);
  const server = opened.use(await startProcess({ ...database.env, DATABASE_URL: address.href }));
  const { cookie } = await login(server.url);
  expect((await call(server.url, 'GET /api/v1/auth/verify', { cookie })).status).toBe(204);
  const closing = opened.move();
  return { cable, server, cookie, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

test.each([
  ['pull', 'its connections broken', 10_000],
  ['silence', 'not a word said', 0],
] as const)(
  'away and back (%s: %s, %i ms): 503 meanwhile, the process lives, and recovers without help',
  {
    timeout: 90_000,
  },
  async (how, _, awayMs) => {
    await using over = await startOverCable();
    const { cable, server, cookie } = over;

    await cable[how]();
    const until = performance.now() + awayMs;
    // An answer that the gate has kept is valid for less than a second. After that, nobody passes without the database.
    await expect
      .poll(async () => (await call(server.url, 'GET /api/v1/auth/verify', { cookie })).status, { timeout: 8000 })
      .toBe(503);
    for (let round = 0; round < 2 || performance.now() < until; round++) {
      const answers = await Promise.all([
        call(server.url, 'GET /api/v1/auth/verify', { cookie }),
        call(server.url, 'GET /api/v1/auth/me', { cookie }),
        login(server.url),
        call(server.url, 'GET /readyz'),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
      expect(answers.slice(0, 3).map(({ retryAfter }) => retryAfter)).toEqual(['2', '2', '2']);
      expect((await call(server.url, 'GET /healthz')).status).toBe(200);
    }

    await cable.mend();
    await expect.poll(async () => (await call(server.url, 'GET /readyz')).status).toBe(200);
    expect((await call(server.url, 'GET /api/v1/auth/verify', { cookie })).status).toBe(204);
    await expect.poll(async () => (await login(server.url)).status).toBe(200);
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  },
);

test.each(['pull', 'silence'] as const)('away while the server is told to end (%s): it ends', async (how) => {
  // The check that it has made is to be written at the end.
  await using over = await startOverCable();
  const { cable, server } = over;
  await cable[how]();
  expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
});
