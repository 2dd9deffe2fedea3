// Finds API tokens in request headers. Any other Authorization header is ignored.
import type { IncomingHttpHeaders } from 'node:http';
import { TOKEN_PREFIX } from '../services/tokens.ts';

/** Matches anything after the prefix, so that a badly copied token is refused instead of falling back to a cookie. */
const bearer = new RegExp(`^Bearer +(${TOKEN_PREFIX}.*)$`, 'i');

/** The API token in the Authorization header (RFC 6750, 2.1), or null. If there is one, cookies are ignored. */
export function readBearer(headers: IncomingHttpHeaders): string | null {
  return bearer.exec(headers.authorization ?? '')?.[1] ?? null;
}

/**
 * The token that a program presents to an application behind forward-auth, or null. It is a bearer token, the password of
 * HTTP Basic (RFC 7617) with any user name, or in our own header if the application uses Authorization itself.
 */
export function readProxyToken(headers: IncomingHttpHeaders): string | null {
  const own = headers['x-backchannel-token'];
  // The header is ours alone, so its value decides even if it is not a token.
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
