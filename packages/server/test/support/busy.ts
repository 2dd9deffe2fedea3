// A server that is busy with one password, for as long as a test wants. It hashes nothing meanwhile: the check waits for the
// database's write lock, which the test holds.
import { expect } from 'vitest';
import { lockWrites } from './elsewhere.ts';
import { PASSWORD, type TestServer } from './harness.ts';

/** Checks one password at a time. */
export const oneAtATime = { threadPoolSize: 1 };

/** Keeps the place of a server with `oneAtATime`, with a sign-in from a known device. Release it within a second. */
export async function occupyPasswordCheck(
  server: TestServer,
  password = PASSWORD,
): Promise<{ release(): Promise<void> }> {
  const client = server.client();
  await client.rest('POST', '/auth/login', { password });
  const lock = await lockWrites(server);
  const login = client.rest('POST', '/auth/login', { password });
  const running = () => server.services.hashing.figures().running;
  await expect.poll(running, { interval: 5 }).toBe(1);
  return {
    release: async () => {
      await lock.release();
      expect((await login).status).toBe(200);
    },
  };
}
