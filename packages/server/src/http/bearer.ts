// API tokens in a request's headers: where each face looks for them. Any other Authorization is not ours and is not looked at.
import type { IncomingHttpHeaders } from 'node:http';
import { TOKEN_PREFIX } from '../services/tokens.ts';

/** Whatever follows the prefix: one that was copied badly is refused, rather than a cookie taken in its place. */
const bearer = new RegExp(`^Bearer +(${TOKEN_PREFIX}.*)$`, 'i');

/** The API token in the Authorization header (RFC 6750, 2.1), or null. Where there is one it decides alone: cookies are ignored. */
export function readBearer(headers: IncomingHttpHeaders): string | null {
  return bearer.exec(headers.authorization ?? '')?.[1] ?? null;
}

/**
 * The token that a program shows to an application behind forward-auth, or null: a bearer, the password of HTTP Basic
 * (RFC 7617) under any name, or a header of our own for applications that have a use for Authorization themselves.
 */
export function readProxyToken(headers: IncomingHttpHeaders): string | null {
  const own = headers['x-backchannel-token'];
  // Nobody else's header: whatever is in it decides.
  if (own !== undefined) return String(own);
  return readBearer(headers) ?? readBasicPassword(headers.authorization);
}

function readBasicPassword(authorization: string | undefined): string | null {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const userPass = Buffer.from(encoded, 'base64').toString('utf8');
  const password = userPass.slice(userPass.indexOf(':') + 1);
  return userPass.includes(':') && password.startsWith(TOKEN_PREFIX) ? password : null;
}
