// Times in words. They are relative: a server does not know where its reader's clock is.
import { type Html, html } from './html.ts';

const ago = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** Seconds in each unit, the largest first. */
const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** How long ago a time was that is given in ISO 8601: "3 minutes ago". `now` is in milliseconds since 1970. */
export function timeAgo(isoTime: string, now: number): Html {
  const seconds = Math.max(0, now - Date.parse(isoTime)) / 1000;
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? ['second', 1];
  const words = unit === 'second' ? 'just now' : ago.format(-Math.floor(seconds / size), unit);
  return html`<time datetime="${isoTime}" title="${isoTime}">${words}</time>`;
}

/** How long to wait, never less than it takes: "30 seconds", "4 minutes". */
export function duration(seconds: number): string {
  const [count, unit] = seconds <= 90 ? [seconds, 'second'] : [Math.ceil(seconds / 60), 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
