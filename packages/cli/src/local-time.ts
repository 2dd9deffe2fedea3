// Formats times for people. Scripts get ISO 8601 in UTC.

const format = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });

/** `2026-03-14 09:26:53` in the local time zone, from milliseconds since 1970 or from ISO 8601. Null stays null. */
export const localTime = (at: number | string | null): string | null =>
  at === null ? null : format.format(new Date(at));
