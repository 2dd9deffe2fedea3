// Trying again for a while, and no longer.
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailableError } from './unavailable.ts';

/** Tries until it works, fails for good, or `giveUpAt` (of `performance.now()`) has passed. Pauses are drawn, so that two don't meet again. */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: { giveUpAt: number; isPassing: (error: unknown) => boolean; mostPauseMs?: number },
): Promise<T> {
  const { giveUpAt, isPassing, mostPauseMs = 20 } = options;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error) || performance.now() > giveUpAt) throw error;
      await sleep(2 + Math.random() * (mostPauseMs - 2));
    }
  }
}

/** The same promise, but at `giveUpAt` it fails, whatever goes on behind it. @throws StoreUnavailableError */
export function before<T>(giveUpAt: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new StoreUnavailableError('The database did not answer in time.'));
    const timer = setTimeout(late, Math.max(0, giveUpAt - performance.now()));
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
