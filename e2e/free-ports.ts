// Ports that stay free while nobody listens on them: an address has to be known before the one who listens there is started,
// and while it is away.
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Systems take ports for connections, and for whoever asks for any, from 32768 up (Linux) or higher. */
const RANGE = { from: 20_000, to: 32_000 };

/** Ports on 127.0.0.1 that no other test is given by chance. */
export async function findFreePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(RANGE.from, RANGE.to);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    await once(probe.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  await once(probe.close(), 'close');
  return true;
}
