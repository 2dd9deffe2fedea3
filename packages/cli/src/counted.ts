// Counts as people read them.

/** `1 session`, `2 sessions`; a plural that is no noun with an s is given. */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count} ${count === 1 ? noun : plural}`;
