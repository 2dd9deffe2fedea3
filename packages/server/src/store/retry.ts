// Retries and timeouts for work on the database.
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailableError } from './unavailable.ts';

/**
 * Retries `attempt` until it succeeds, fails with an error that is not transient, or `giveUpAt` (on the clock of
 * `performance.now()`) has passed. Pauses are random, so two processes that collided don't collide again.
 */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: {
    giveUpAt: number;
    isTransient: (error: unknown) => boolean;
    longestPauseMs?: number;
    /** Called with the error before each retry. */
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

/** How often to check whether the database still responds to work that takes long, in milliseconds. */
const CHECK_INTERVAL_MS = 200;

/**
 * The same promise, but after `giveUpAt` it rejects as soon as the database no longer responds. Work that only takes long
 * continues.
 * @throws StoreUnavailableError with the cause from `findCause`
 */
export function before<T>(
  giveUpAt: number,
  promise: Promise<T>,
  { isAnswering, findCause }: { isAnswering: () => boolean; findCause: () => unknown },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (isAnswering()) timer = setTimeout(check, CHECK_INTERVAL_MS);
      else reject(new StoreUnavailableError('The database did not respond in time.', { cause: findCause() }));
    };
    let timer = setTimeout(check, Math.max(0, giveUpAt - performance.now()));
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
