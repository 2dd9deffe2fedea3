// Keeps a burst of writes from holding up reads: the event loop would otherwise work off all that has arrived before it
// looks for more, and 200 sign-ins at once would stand before the next check of a live session.
import { isSafeMethod } from '../guard.ts';

/** Begins a request in its turn. */
export type TakeTurn = (method: string | undefined, begin: () => void) => void;

/** One write begins in each turn of the event loop; reads begin at once. */
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
