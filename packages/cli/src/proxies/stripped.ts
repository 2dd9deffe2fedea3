// What an application behind a proxy must neither be told by its callers nor see of them, as regular expressions that PCRE
// (nginx) and RE2 (Caddy) read alike. They hold no braces, quotes or backslashes but \s and \x.., which both configuration
// languages leave as they are.
import type { Site } from './site.ts';

/** Who it is: set by the proxy from BackChannel's answer, by nobody else. */
export const identityHeaders = ({ email }: Pick<Site, 'email'>): readonly string[] => [
  'Remote-User',
  ...(email ? ['Remote-Email'] : []),
  'X-Auth-Method',
  'X-Auth-Session',
];

/** What some applications believe of a proxy, and this one does not say. */
export const unsaidHeaders = ({ email }: Pick<Site, 'email'>): readonly string[] => [
  ...(email ? [] : ['Remote-Email']),
  'Remote-Name',
  'Remote-Groups',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Preferred-Username',
];

/** Where another family of headers than X-Forwarded-* tells an address. */
export const addressHeaders = ['Forwarded', 'X-Original-URL', 'X-Original-Method', 'X-Rewrite-URL'] as const;

/** The names of our cookies, the session's with and without its prefix: for the time after a move to https. */
export function ourCookies({ cookies }: Pick<Site, 'cookies'>): string {
  return ['(?:__Host-)?'.concat(literal(cookies.session)), ...cookies.others.map(literal)].join('|');
}

/** `Bearer bct_…`. The server takes its letters in either case. */
export const bearerToken = '(?i:Bearer +bct_)';

const any = '[A-Za-z0-9+/_-]';

/**
 * `Basic …` where a colon and bct_ come after any name, in base64 (RFC 7617; RFC 4648, 4 and 5). Three bytes are four
 * letters, so the same five bytes have three spellings: after 0, 1 or 2 bytes of a group.
 */
export const basicToken =
  `(?i:Basic) +(?:${any}${any}${any}${any})*` +
  `(?:OmJjdF[89+/_-]|${any}[DTjz]piY3Rf|${any}${any}[AEIMQUYcgkosw048]6YmN0X[w-z0-9+/_-])`;

/** A cookie's name may hold most characters (RFC 6265, 4.1.1), some of which mean something to these languages. */
const literal = (name: string): string =>
  name.replace(/[^\w-]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
