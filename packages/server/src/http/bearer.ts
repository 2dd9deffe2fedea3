// API tokens in the Authorization header (RFC 6750, 2.1). Any other Authorization is not ours and is not looked at.
import type { IncomingHttpHeaders } from 'node:http';
import { TOKEN_PREFIX } from '../services/tokens.ts';

/** Whatever follows the prefix: one that was copied badly is refused, rather than a cookie taken in its place. */
const bearer = new RegExp(`^Bearer +(${TOKEN_PREFIX}.*)$`, 'i');

/** The API token of a request, or null. Where there is one it decides alone: cookies are ignored. */
export function readBearer(headers: IncomingHttpHeaders): string | null {
  return bearer.exec(headers.authorization ?? '')?.[1] ?? null;
}
