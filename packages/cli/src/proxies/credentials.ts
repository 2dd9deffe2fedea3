// The credentials that a proxy removes before a request reaches the application: cookies and tokens. The regular expressions
// mean the same in PCRE (nginx) and RE2 (Caddy). They contain no braces and no quotes, and no backslashes except \s and \x..,
// which both configuration languages leave unchanged.
import type { Site } from './site.ts';

/** The names of our cookies, with and without their prefixes, for the time after a move to https. */
export const ourCookies = ({ cookies }: Pick<Site, 'cookies'>): string => cookies.map(literal).join('|');

/** `Bearer bct_…`. The server ignores the case of these letters. */
export const bearerToken = '(?i:Bearer +bct_)';

const any = '[A-Za-z0-9+/_-]';

/**
 * `Basic …` with a colon and bct_ after any user name, in base64 (RFC 7617; RFC 4648, 4 and 5). Three bytes are four
 * letters, so the same five bytes have three encodings: after 0, 1 or 2 bytes of a group.
 */
export const basicToken =
  `(?i:Basic) +(?:${any}${any}${any}${any})*` +
  `(?:OmJjdF[89+/_-]|${any}[DTjz]piY3Rf|${any}${any}[AEIMQUYcgkosw048]6YmN0X[w-z0-9+/_-])`;

/** A cookie name may contain most characters (RFC 6265, 4.1.1). Some of them have a meaning in these languages. */
const literal = (name: string): string =>
  name.replace(/[^\w-]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
