// The cookies: their names, their attributes, and how to find them in a header. No other file reads or writes cookies.
import { stringifySetCookie } from 'cookie';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';

/**
 * An attacker may make a browser send several cookies with the same name. Only the last few are read: cookies with longer
 * paths come first (RFC 6265, 5.4), and ours have the shortest path.
 */
const MAX_VALUES = 3;
const MAX_VALUE_BYTES = 1024;

/** It has no prefix: it grants no access, and a browser should stay known when the server moves to https. */
export const DEVICE_COOKIE = 'backchannel_device';

/** For applications behind forward-auth on other subdomains. It grants no access to this server. */
export const PASS_COOKIE = '__Secure-backchannel_pass';

export interface Cookie {
  /** Its values in a Cookie header. */
  read(header: string | undefined): string[];
  /** The Set-Cookie line for a value that expires at `expiresAt` (milliseconds since 1970). */
  set(value: string, expiresAt: number): string;
  /** The Set-Cookie line that removes it from the browser. */
  clear(): string;
}

export interface Cookies {
  /** The session cookie. Host-only. */
  session: Cookie;
  /** The pass of the same session, for the subdomains of COOKIE_DOMAIN; null without COOKIE_DOMAIN. */
  pass: Cookie | null;
  /** Identifies a browser that has signed in before. Host-only. */
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
 * The values of one cookie, the last one first, without parsing the others (RFC 6265, 5.4). Names are compared exactly: a
 * sibling subdomain may set a cookie whose name has a no-break space before `__Host-`, which trim() would remove.
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

/** Trims HTTP white space (OWS, RFC 9110, 5.6.3), unlike trim(), which also removes other characters. */
function withoutSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start])) start += 1;
  while (end > start && isSpace(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

const isSpace = (character: string | undefined) => character === ' ' || character === '\t';
