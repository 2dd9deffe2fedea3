// Lets the event loop go before bcrypt where both want the same core: a flood of sign-ins should slow down sign-ins, and
// not the checks of sessions that are live.
import { readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setPriority } from 'node:os';

/** About a tenth of the event loop's share of a core, and all of it where the event loop has nothing to do (nice 10). */
const NICENESS = 10;

/**
 * Lowers the priority of this process's worker threads, which bcrypt runs on. Linux alone has priorities for threads;
 * elsewhere, and where the system does not allow it, nothing changes. Returns how many threads were found.
 */
export async function lowerWorkerPriority(): Promise<number> {
  if (process.platform !== 'linux') return 0;
  // The threads come with the first work for them.
  await stat('/');
  try {
    const workers = readdirSync('/proc/self/task').filter(
      (id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() === 'libuv-worker',
    );
    for (const id of workers) setPriority(Number(id), NICENESS);
    return workers.length;
  } catch {
    return 0;
  }
}
