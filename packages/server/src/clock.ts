// The clock that every part takes the time from. Tests replace it.

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;

/** Milliseconds since 1970 UTC. */
export type Clock = () => number;

/** Formats a time for the API: ISO 8601 in UTC. */
export const isoTime = (at: number): string => new Date(at).toISOString();
