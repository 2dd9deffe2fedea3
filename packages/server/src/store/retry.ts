// Trying again for a while, and no longer.
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailableError } from './unavailable.ts';

/** Tries until it works, fails for good, or `giveUpAt` (of `performance.now()`) has passed. Pauses are drawn, so that two don't meet again. */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: {
    giveUpAt: number;
    isTransient: (error: unknown) => boolean;
    longestPauseMs?: number;
    /** Told why it is tried again. */
    onTransient?: (error: unknown) => void;
  },
): Promise<T> {
  const { giveUpAt, isTransient, longestPauseMs = 20, onTransient } = options;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isTransient(error) || performance.now() > giveUpAt) throw error;
      onTransient?.(error);
      await sleep(2 + Math.random() * (longestPauseMs - 2));
    }
  }
}

/** How often it is looked whether work that takes long goes on, in milliseconds. */
const LOOK_MS = 200;

/**
 * The same promise, but from `giveUpAt` on it fails as soon as nothing is heard of the database any more, whatever hangs
 * behind it. Work that is just long is let go on. @throws StoreUnavailableError, with what `findCause` knows
 */
export function before<T>(
  giveUpAt: number,
  promise: Promise<T>,
  { isAnswering, findCause }: { isAnswering: () => boolean; findCause: () => unknown },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (isAnswering()) timer = setTimeout(look, LOOK_MS);
      else reject(new StoreUnavailableError('The database did not answer in time.', { cause: findCause() }));
    };
    let timer = setTimeout(look, Math.max(0, giveUpAt - performance.now()));
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
