// The cookies: their names, their attributes, and how to find them in a header. No other file reads or writes cookies.
import { stringifySetCookie } from 'cookie';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { DEFAULT_COOKIE_NAME } from '../config/values.ts';

/**
 * An attacker may make a browser send several cookies with the same name. Only the last few are read: cookies with longer
 * paths come first (RFC 6265, 5.4), and ours have the shortest path.
 */
const MAX_VALUES = 3;
const MAX_VALUE_BYTES = 1024;

const DEVICE_COOKIE = 'backchannel_device';
const PASS_COOKIE = '__Secure-backchannel_pass';

type CookieNames = Pick<Config, 'cookieName' | 'secureCookies'>;

const bareName = ({ cookieName }: Pick<Config, 'cookieName'>) => cookieName.replace(/^__Host-/, '');

/**
 * The pass, for applications behind forward-auth on other subdomains. It grants no access to this server. Another server under
 * the same domain has another COOKIE_NAME, and so a pass of its own.
 */
export function passCookieName(config: Pick<Config, 'cookieName'>): string {
  const name = bareName(config);
  return name === DEFAULT_COOKIE_NAME ? PASS_COOKIE : `__Secure-${name}_pass`;
}

/** The prefix keeps other hosts of the domain from setting this cookie, and so from hiding it (RFC 6265bis, 4.1.3.2). */
export const deviceCookieName = ({ secureCookies }: Pick<Config, 'secureCookies'>): string =>
  secureCookies ? `__Host-${DEVICE_COOKIE}` : DEVICE_COOKIE;

/** The names of every cookie that this server sets, or has set under an earlier configuration or version. */
export const ownCookieNames = (config: Pick<Config, 'cookieName'>): string[] => [
  ...new Set([
    ...[bareName(config), `__Host-${bareName(config)}`, passCookieName(config), PASS_COOKIE],
    ...[DEVICE_COOKIE, `__Host-${DEVICE_COOKIE}`],
  ]),
];

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
  /** The device cookie without its prefix, as earlier versions and servers on http set it; null where it is still in use. */
  formerDevice: Cookie | null;
}

export function createCookies(config: CookieNames & Pick<Config, 'cookieDomain'>, clock: Clock): Cookies {
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
    pass: cookieDomain === null ? null : cookieNamed(passCookieName(config), { domain: cookieDomain }),
    device: cookieNamed(deviceCookieName(config)),
    formerDevice: config.secureCookies ? cookieNamed(DEVICE_COOKIE) : null,
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
    const value = withoutQuotes(withoutSpaces(pair.slice(equals + 1)));
    if (value.length > 0 && value.length <= MAX_VALUE_BYTES) values.push(value);
    if (values.length === MAX_VALUES) break;
  }
  return values;
}

/** A value may be in quotes (RFC 6265, 4.1.1). Java's own cookie store sends it so. */
const withoutQuotes = (text: string) => /^"(.*)"$/s.exec(text)?.[1] ?? text;

/** Trims HTTP white space (OWS, RFC 9110, 5.6.3), unlike trim(), which also removes other characters. */
function withoutSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start])) start += 1;
  while (end > start && isSpace(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

const isSpace = (character: string | undefined) => character === ' ' || character === '\t';
