// Tells people, who can sign in on a page, from programs.
import type { IncomingHttpHeaders } from 'node:http';
import Negotiator from 'negotiator';

/**
 * What a navigation that fills a tab is for. A service worker that fetches a navigation itself says `empty`, and no script
 * can make any other request say `navigate` (Fetch, 5.4).
 */
const destinations: readonly unknown[] = [undefined, 'document', 'empty'];

/**
 * Whether a browser navigates to this address, so that a sign-in page can replace the requested one (Fetch Metadata, W3C).
 * Programs, and requests made by pages, get a plain 401 instead.
 */
export function isNavigation(headers: IncomingHttpHeaders, method: string | undefined): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const mode = headers['sec-fetch-mode'];
  const destination = headers['sec-fetch-dest'];
  if (mode === undefined && destination === undefined && headers['sec-fetch-site'] === undefined) {
    // Scripts that announce themselves do not show pages to anybody.
    if (headers['x-requested-with'] !== undefined) return false;
    return new Negotiator({ headers }).mediaType(['application/json', 'text/html']) === 'text/html';
  }
  return mode === 'navigate' && destinations.includes(destination);
}

/**
 * Whether a person will look at the response, whatever the method: a browser navigates to it, or puts it into a frame (Fetch
 * Metadata, W3C).
 */
export function isForPerson(headers: IncomingHttpHeaders): boolean {
  const isSilent = ['sec-fetch-mode', 'sec-fetch-dest', 'sec-fetch-site'].every((name) => headers[name] === undefined);
  if (!isSilent && headers['sec-fetch-mode'] !== 'navigate') return false;
  if (headers['x-requested-with'] !== undefined) return false;
  return new Negotiator({ headers }).mediaType(['application/json', 'text/html']) === 'text/html';
}

/**
 * Whether a page may lead the browser on: it is about to be shown in a tab. Prefetches and frames would otherwise follow the
 * redirect unseen. Clients that say nothing count, since old browsers are among them.
 */
export function isForTab(headers: IncomingHttpHeaders): boolean {
  const { 'sec-fetch-mode': mode = 'navigate', 'sec-fetch-dest': destination } = headers;
  const isPrefetch = /prefetch/i.test(`${headers['sec-purpose']} ${headers.purpose}`);
  return !isPrefetch && mode === 'navigate' && destinations.includes(destination);
}
