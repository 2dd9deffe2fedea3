// Decides when a rejected query is sent again, and when to give up. It knows no fetch and no procedures.

export interface RetryOptions {
  /** The maximum number of attempts, the first one included: 1 to 10. Default: 3. */
  maxAttempts?: number;
  /** The maximum total wait between the attempts of a call, in milliseconds. Default: 10 000. */
  maxWaitMs?: number;
}

/** The wait before the next attempt of a call, in milliseconds; null to give up. */
export type NextWait = (retryAfterSeconds: number | null) => number | null;

/** Too many requests (RFC 6585, 4) and unavailable (RFC 9110, 15.6.4). Both mean "later", and that nothing was done. */
const retryable = new Set([429, 503]);

export const isRetryable = (status: number): boolean => retryable.has(status);

/** The first wait if the response doesn't name one. Each further wait is twice as long. */
const FIRST_WAIT_MS = 250;

/**
 * Returns a function to run at the start of each call.
 * @throws TypeError when an option is invalid.
 */
export function createRetries(options: RetryOptions | false): () => NextWait {
  const { maxAttempts = 3, maxWaitMs = 10_000 } = options === false ? { maxAttempts: 1 } : options;
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > 10) {
    throw new TypeError('retry.maxAttempts: must be a whole number from 1 to 10; 1 is the same as retry: false');
  }
  if (!(maxWaitMs >= 0 && maxWaitMs <= 3_600_000)) {
    throw new TypeError('retry.maxWaitMs: must be a number of milliseconds from 0 to 3600000');
  }

  return () => {
    let attempts = 1;
    let waitedMs = 0;
    return (retryAfterSeconds) => {
      const leftMs = maxWaitMs - waitedMs;
      const askedMs = retryAfterSeconds === null ? FIRST_WAIT_MS * 2 ** (attempts - 1) : retryAfterSeconds * 1000;
      if (attempts >= maxAttempts || askedMs > leftMs) return null;
      attempts++;
      // Never earlier than the server asked for. A random delay on top keeps clients from all returning at once.
      const waitMs = Math.min(askedMs + Math.random() * Math.max(FIRST_WAIT_MS, askedMs / 4), leftMs);
      waitedMs += waitMs;
      return waitMs;
    };
  };
}
