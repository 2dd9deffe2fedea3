// Times in words. They are relative, because the server does not know the reader's time zone.
import { type Html, html } from './html.ts';
import { WAIT } from './script.ts';

const ago = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** Seconds in each unit, the largest first. */
const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** Formats an ISO 8601 time relative to now: "3 minutes ago". `now` is in milliseconds since 1970. */
export function timeAgo(isoTime: string, now: number): Html {
  const seconds = Math.max(0, now - Date.parse(isoTime)) / 1000;
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? ['second', 1];
  const words = unit === 'second' ? 'just now' : ago.format(-Math.floor(seconds / size), unit);
  return html`<time datetime="${isoTime}" title="${isoTime}">${words}</time>`;
}

/** Formats an ISO 8601 time in the future relative to now, rounded down: "in 59 minutes". */
export function timeUntil(isoTime: string, now: number): Html {
  const seconds = Math.max(0, Date.parse(isoTime) - now) / 1000;
  const [unit, size] = units.find(([, each]) => seconds >= each) ?? ['second', 1];
  const words = unit === 'second' ? 'in less than a minute' : ago.format(Math.floor(seconds / size), unit);
  return html`<time datetime="${isoTime}" title="${isoTime}">${words}</time>`;
}

/** A sentence that the script of the page counts down. */
export const waitFor = (seconds: number): Html =>
  html`<p id="${WAIT}" role="timer" data-seconds="${seconds}">Try again in ${duration(seconds)}.</p>`;

/** Formats how long to wait, rounded up: "30 seconds", "4 minutes". */
export function duration(seconds: number): string {
  const [count, unit] = seconds <= 90 ? [seconds, 'second'] : [Math.ceil(seconds / 60), 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
