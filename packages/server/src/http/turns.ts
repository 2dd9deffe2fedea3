// Keeps a burst of writes from holding up reads: the event loop would otherwise work off all that has arrived before it
// looks for more, and 200 sign-ins at once would stand before the next check of a live session.
import type { RequestHandler } from 'express';

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** One write begins in each turn of the event loop; reads go by. */
export function writesTakeTurns(): RequestHandler {
  const waiting: (() => void)[] = [];
  const beginNext = () => {
    waiting.shift()?.();
    if (waiting.length > 0) setImmediate(beginNext);
  };
  return (req, _res, next) => {
    if (safeMethods.has(req.method)) return next();
    waiting.push(next);
    if (waiting.length === 1) setImmediate(beginNext);
  };
}
