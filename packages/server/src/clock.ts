// Where every part takes the time from, so that a test can move it.

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

/** Milliseconds since 1970 UTC. */
export type Clock = () => number;

/** An instant as the API shows it: ISO 8601 in UTC. */
export const isoTime = (at: number): string => new Date(at).toISOString();
