// The cookies: their names, their attributes, and how they are found in a header. Nothing else writes or reads one.
import { stringifySetCookie } from 'cookie';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';

/**
 * A browser that was tricked into several cookies of one name sends them all; no more than these are looked at, from the
 * end: those of longer paths come first (RFC 6265, 5.4), and ours have the shortest.
 */
const MAX_VALUES = 3;
const MAX_VALUE_BYTES = 1024;

/** Its name is the same for Secure ones: it opens nothing, and what a browser is known by outlives a move to https. */
export const DEVICE_COOKIE = 'backchannel_device';

/** For applications behind forward-auth on other subdomains; it opens nothing of this server. */
export const PASS_COOKIE = '__Secure-backchannel_pass';

export interface Cookie {
  /** Its values in a Cookie header. */
  read(header: string | undefined): string[];
  /** The Set-Cookie line for a value that expires at `expiresAt` (milliseconds since 1970). */
  set(value: string, expiresAt: number): string;
  /** The Set-Cookie line that takes it from the browser. */
  clear(): string;
}

export interface Cookies {
  /** The session's. Host-only. */
  session: Cookie;
  /** The same session's, for the subdomains of COOKIE_DOMAIN; null where there is none. */
  pass: Cookie | null;
  /** What a browser is known by after it has signed in. Host-only. */
  device: Cookie;
}

export function createCookies(
  config: Pick<Config, 'cookieName' | 'secureCookies' | 'cookieDomain'>,
  clock: Clock,
): Cookies {
  const cookieNamed = (name: string, scope: { domain?: string } = {}): Cookie => {
    const secure = config.secureCookies;
    const attributes = { name, httpOnly: true, sameSite: 'lax', path: '/', secure, ...scope } as const;
    return {
      read: (header) => findCookieValues(header, name),
      set: (value, expiresAt) => {
        const maxAge = Math.max(0, Math.floor((expiresAt - clock()) / 1000));
        return stringifySetCookie({ ...attributes, value, maxAge });
      },
      clear: () => stringifySetCookie({ ...attributes, value: '', maxAge: 0 }),
    };
  };
  const { cookieDomain } = config;
  return {
    session: cookieNamed(config.cookieName),
    pass: cookieDomain === null ? null : cookieNamed(PASS_COOKIE, { domain: cookieDomain }),
    device: cookieNamed(DEVICE_COOKIE),
  };
}

/**
 * The values of one cookie, the last one first, without parsing the others (RFC 6265, 5.4): names are compared exactly. A sibling
 * subdomain may set a cookie whose name has a no-break space before `__Host-`, and trim() would take it for ours.
 */
export function findCookieValues(header: string | undefined, name: string): string[] {
  const values: string[] = [];
  if (!header) return values;
  for (const pair of header.split(';').reverse()) {
    const equals = pair.indexOf('=');
    if (equals < 0 || withoutSpaces(pair.slice(0, equals)) !== name) continue;
    const value = withoutSpaces(pair.slice(equals + 1));
    if (value.length > 0 && value.length <= MAX_VALUE_BYTES) values.push(value);
    if (values.length === MAX_VALUES) break;
  }
  return values;
}

/** Without what HTTP holds for white space at the ends (OWS, RFC 9110, 5.6.3), and nothing that only JavaScript does. */
function withoutSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start])) start += 1;
  while (end > start && isSpace(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

const isSpace = (character: string | undefined) => character === ' ' || character === '\t';
