// Formats counts for people.

/** `1 session`, `2 sessions`. Give `plural` if it isn't the noun with an s. */
export const counted = (count: number, noun: string, plural = `${noun}s`): string =>
  `${count} ${count === 1 ? noun : plural}`;
