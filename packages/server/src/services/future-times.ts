// Times in the future: a clock that was wrong wrote them. They must not extend anything: no wait, no session, no freshness.
import { type Clock, MINUTE_MS } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { Store } from '../store/database.ts';
import { correctFutureTimesWithin } from '../store/statements/future-times.ts';
import { databaseTimeWithin } from '../store/statements/instances.ts';

/** The clocks of instances may differ by this much, in milliseconds. */
export const CLOCK_SKEW_MS = MINUTE_MS;

/**
 * Replaces times in the future by now. A session that was created in the future ends as if it had been created now, but does
 * not become recently authenticated. Returns how many rows it has changed.
 */
export const correctFutureTimes = (options: {
  store: Store;
  config: Pick<Config, 'stepUpMinutes'>;
  clock: Clock;
}): Promise<number> => {
  const { store, config, clock } = options;
  return store.write(async (em) => {
    // An instance whose own clock is behind must not shorten what the others have written.
    const now = store.engine === 'sqlite' ? clock() : Math.max(clock(), await databaseTimeWithin(em));
    const createdAt = now - config.stepUpMinutes * MINUTE_MS;
    return correctFutureTimesWithin(em, { latest: now + CLOCK_SKEW_MS, now, createdAt });
  });
};
