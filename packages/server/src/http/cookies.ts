// The session cookie: its name, its attributes, and how it is found in a header. Nothing else writes or reads one.
import { stringifySetCookie } from 'cookie';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';

/** A browser that was tricked into several cookies of one name sends them all; no more than these are looked at. */
const MAX_VALUES = 3;
const MAX_VALUE_BYTES = 1024;

export interface SessionCookie {
  /** Its values in a Cookie header. */
  read(header: string | undefined): string[];
  /** The Set-Cookie line for a token that is good until `expiresAt` (milliseconds since 1970). */
  set(token: string, expiresAt: number): string;
  /** The Set-Cookie line that takes it from the browser. */
  clear(): string;
}

export function createSessionCookie(config: Pick<Config, 'cookieName' | 'secureCookies'>, clock: Clock): SessionCookie {
  const attributes = {
    name: config.cookieName,
    httpOnly: true,
    sameSite: 'lax',
    path: '/',
    secure: config.secureCookies,
  } as const;
  return {
    read: (header) => findCookieValues(header, config.cookieName),
    set: (token, expiresAt) =>
      stringifySetCookie({
        ...attributes,
        value: token,
        maxAge: Math.max(0, Math.floor((expiresAt - clock()) / 1000)),
      }),
    clear: () => stringifySetCookie({ ...attributes, value: '', maxAge: 0 }),
  };
}

/** The values of one cookie, in order, without parsing the others (RFC 6265, 5.4): names are compared exactly. */
export function findCookieValues(header: string | undefined, name: string): string[] {
  const values: string[] = [];
  if (!header) return values;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    if (value.length > 0 && value.length <= MAX_VALUE_BYTES) values.push(value);
    if (values.length === MAX_VALUES) break;
  }
  return values;
}
