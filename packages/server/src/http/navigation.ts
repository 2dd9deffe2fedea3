// Tells people, who can sign in on a page, from programs.
import type { IncomingHttpHeaders } from 'node:http';
import Negotiator from 'negotiator';

/**
 * Whether a browser navigates to this address, so that a sign-in page can replace the requested one (Fetch Metadata, W3C).
 * Programs, and requests made by pages, get a plain 401 instead.
 */
export function isNavigation(headers: IncomingHttpHeaders, method: string | undefined): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const mode = headers['sec-fetch-mode'];
  const destination = headers['sec-fetch-dest'];
  if (mode === undefined && destination === undefined && headers['sec-fetch-site'] === undefined) {
    return new Negotiator({ headers }).mediaType(['application/json', 'text/html']) === 'text/html';
  }
  return mode === 'navigate' && (destination === undefined || destination === 'document');
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
