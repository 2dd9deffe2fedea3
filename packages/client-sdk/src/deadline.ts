// Ends a call when its time is up or its caller aborts it. Both share one signal, and waits follow it.

export interface Deadline {
  /** Aborted when the time is up, or when the caller's signal is aborted. */
  readonly signal: AbortSignal;
  /** The remaining time; Infinity without a limit. */
  leftMs(): number;
  /** Rejects with the signal's reason if the signal is aborted first. */
  wait(ms: number): Promise<void>;
  /** Releases the timer and the caller's signal, which may live much longer than the call. */
  end(): void;
}

export function createDeadline(timeoutMs: number, callers: AbortSignal | null | undefined): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const endsAt = performance.now() + timeoutMs;
  const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => controller.abort(), timeoutMs);
  // AbortSignal.any is missing in older runtimes.
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
          // The reason is missing in older runtimes.
          reject(signal.reason ?? new Error('aborted'));
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
