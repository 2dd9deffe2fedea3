// Gives the event loop precedence over bcrypt when both want the same core: a flood of sign-ins should slow down sign-ins, not
// the checks of live sessions.
import { readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setPriority } from 'node:os';

/** Nice 10: about a tenth of the event loop's share of a core, and all of it while the event loop is idle. */
const NICENESS = 10;

/**
 * Lowers the priority of this process's worker threads, which run bcrypt. Only Linux has priorities for threads. Elsewhere, and
 * if the system does not allow it, nothing changes.
 */
export async function lowerWorkerPriority(): Promise<void> {
  if (process.platform !== 'linux') return;
  // libuv starts the threads with the first work for them.
  await stat('/');
  try {
    for (const id of readdirSync('/proc/self/task')) {
      const name = readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim();
      if (name === 'libuv-worker') setPriority(Number(id), NICENESS);
    }
  } catch {
    // A thread that just ended, or a system without /proc: the priority stays as it is.
  }
}
