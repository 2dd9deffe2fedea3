// Which requests are a person's, who can be shown a page to sign in on, and which are a program's.
import type { IncomingHttpHeaders } from 'node:http';
import Negotiator from 'negotiator';

/**
 * Whether a person is looking at the browser's address bar, so that a page of ours can take the place of the one asked
 * for (Fetch Metadata, W3C). A program, and a page's own requests, get a plain 401.
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
