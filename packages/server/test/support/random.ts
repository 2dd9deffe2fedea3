// Random input for tests that is the same in each run.

/** A generator (mulberry32) that gives the same numbers for the same seed. */
export function createRandom(seed: number) {
  let state = seed;
  const below = (limit: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
  const pick = <T>(...values: readonly T[]): T => {
    const value = values[below(values.length)];
    if (value === undefined) throw new RangeError('nothing to pick from');
    return value;
  };
  const text = (most: number, piece: () => string) => Array.from({ length: below(most + 1) }, piece).join('');
  return { below, pick, text };
}
