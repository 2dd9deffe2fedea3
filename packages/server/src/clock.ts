// Where every part takes the time from, so that a test can move it.

/** Milliseconds since 1970 UTC. */
export type Clock = () => number;

/** An instant as the API shows it: ISO 8601 in UTC. */
export const isoTime = (at: number): string => new Date(at).toISOString();
