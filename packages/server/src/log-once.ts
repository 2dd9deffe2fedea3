// Warnings that every request would repeat. Not in log.ts, so that importing this does not load pino.

/** Wraps a function that logs, so that only its first call has an effect. */
export function logOnce<Args extends unknown[]>(write: (...args: Args) => void): (...args: Args) => void {
  let isLogged = false;
  return (...args) => {
    if (isLogged) return;
    isLogged = true;
    write(...args);
  };
}
