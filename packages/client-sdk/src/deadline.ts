// The end of a call: its time is up, or its caller has given up. One signal for both, and waits that heed it.

export interface Deadline {
  /** Aborted when the time is up, and as soon as the caller's is. */
  readonly signal: AbortSignal;
  /** In milliseconds; Infinity without a limit. */
  leftMs(): number;
  /** Rejects with the signal's reason when that is aborted first. */
  wait(ms: number): Promise<void>;
  /** Lets go of the timer and of the caller's signal, which may outlive many calls. */
  end(): void;
}

export function createDeadline(timeoutMs: number, callers: AbortSignal | null | undefined): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const endsAt = performance.now() + timeoutMs;
  const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => controller.abort(), timeoutMs);
  // Not AbortSignal.any, which older runtimes lack.
  const follow = () => controller.abort(callers?.reason);
  callers?.addEventListener('abort', follow);
  if (callers?.aborted) follow();

  return {
    signal,
    leftMs: () => endsAt - performance.now(),
    wait: (ms) =>
      new Promise((resolve, reject) => {
        const over = setTimeout(() => {
          signal.removeEventListener('abort', stop);
          resolve();
        }, ms);
        const stop = () => {
          clearTimeout(over);
          reject(signal.reason);
        };
        signal.addEventListener('abort', stop, { once: true });
        if (signal.aborted) stop();
      }),
    end: () => {
      clearTimeout(timer);
      callers?.removeEventListener('abort', follow);
    },
  };
}
