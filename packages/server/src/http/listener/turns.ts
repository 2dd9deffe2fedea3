// Keeps a burst of writes from delaying reads. Otherwise the event loop would start everything that has arrived before it
// reads more, and a session check would wait behind 200 simultaneous sign-ins.
import { isSafeMethod } from '../guard.ts';

/** Starts a request when it is its turn. */
export type TakeTurn = (method: string | undefined, begin: () => void) => void;

/** Starts one write in each turn of the event loop. Reads start at once. */
export function createTurns(): TakeTurn {
  const waiting: (() => void)[] = [];
  const beginNext = () => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(beginNext);
  };
  return (method, begin) => {
    if (isSafeMethod(method)) return begin();
    waiting.push(begin);
    if (waiting.length === 1) setImmediate(beginNext);
  };
}
