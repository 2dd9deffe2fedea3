// Returns the memory that a start leaves behind to the system, once, when nobody is waiting.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The process must be idle for this long, in milliseconds, before anyone may be kept waiting. */
const IDLE_MS = 1500;
/** What counts as idle, as a share of that time. */
const IDLE_SHARE = 0.05;

/**
 * Collects garbage once, as soon as the process is idle. The event loop stops for about 90 ms. V8 would not do this itself
 * before memory is short.
 */
export function returnMemoryWhenIdle(): void {
  let before = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization > IDLE_SHARE) return;
    clearInterval(timer);
    // Adds gc() to contexts that are created from now on, and changes nothing else in V8.
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    setFlagsFromString('--no-expose-gc');
  }, IDLE_MS).unref();
}
