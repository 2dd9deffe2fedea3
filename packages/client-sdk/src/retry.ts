// When a query that was turned away is asked again, and when no more. Knows no fetch and no procedures.

export interface RetryOptions {
  /** How often a query is sent at most, the first time included: 1 to 10, 3 unless told. */
  maxAttempts?: number;
  /** How long one call may wait between its attempts, all in all, in milliseconds: 10 000 unless told. */
  maxWaitMs?: number;
}

/** How long to wait before the next attempt of one call, in milliseconds; null when there is to be none. */
export type NextWait = (retryAfterSeconds: number | null) => number | null;

/** Too many requests (RFC 6585, 4), and unavailable (RFC 9110, 15.6.4): both say "later", and that nothing was done. */
const later = new Set([429, 503]);

export const isForLater = (status: number): boolean => later.has(status);

/** The first wait where nobody says how long, in milliseconds; each further one is twice as long. */
const FIRST_WAIT_MS = 250;

/**
 * What to call at the start of each call.
 * @throws TypeError when an option cannot be used.
 */
export function createRetries(options: RetryOptions | false): () => NextWait {
  const { maxAttempts = 3, maxWaitMs = 10_000 } = options === false ? { maxAttempts: 1 } : options;
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > 10) {
    throw new TypeError('retry.maxAttempts: needs a whole number from 1 to 10; 1 is the same as retry: false');
  }
  if (!(maxWaitMs >= 0 && maxWaitMs <= 3_600_000)) {
    throw new TypeError('retry.maxWaitMs: needs a number of milliseconds from 0 to 3600000');
  }

  return () => {
    let attempts = 1;
    let waitedMs = 0;
    return (retryAfterSeconds) => {
      const leftMs = maxWaitMs - waitedMs;
      const askedMs = retryAfterSeconds === null ? FIRST_WAIT_MS * 2 ** (attempts - 1) : retryAfterSeconds * 1000;
      if (attempts >= maxAttempts || askedMs > leftMs) return null;
      attempts++;
      // Never sooner than asked; a little later, each in its own time, so that not all come back at once.
      const waitMs = Math.min(askedMs + Math.random() * Math.max(FIRST_WAIT_MS, askedMs / 4), leftMs);
      waitedMs += waitMs;
      return waitMs;
    };
  };
}
