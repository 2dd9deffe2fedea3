// Decides where a browser may go after signing in: to this server, or to an application behind forward-auth. A mistake here
// is an open redirect (OWASP ASVS 5, 3.7.2; CWE-601), so it accepts little and never repairs its input.
import { isHost, isUnder } from '../config/address.ts';
import type { Config } from '../config/config.ts';

/** The longest `/login?next=…` address, in bytes. It fits the buffers that nginx has by default. */
export const MAX_LOGIN_ADDRESS_BYTES = 7500;

/** Why there is no return address. Forward-auth logs the reason and passes it to `/login`, which explains it. */
const noReturns = [
  'proxy-not-trusted',
  'address-not-told',
  'address-too-long',
  'address-not-usable',
  'host-not-allowed',
] as const;
export type NoReturn = (typeof noReturns)[number];

/** Reads the reason that a page was given. Null if it is not one of the known reasons. */
export const asNoReturn = (reason: string | null | undefined): NoReturn | null =>
  noReturns.find((each) => each === reason) ?? null;

export interface ReturnAddress {
  /**
   * Returns the address in `next` if it may be followed, else null. Its scheme is http or https, and only https if PUBLIC_URL
   * uses https. Its host is PUBLIC_URL's host name (on any port), COOKIE_DOMAIN, or a subdomain of COOKIE_DOMAIN. A path
   * without a host is on this server. Its query is data: it may contain whatever browsers send there.
   */
  accept(next: string | null | undefined): URL | null;
}

export function createReturnAddress(config: Pick<Config, 'publicUrl' | 'cookieDomain'>): ReturnAddress {
  const home = new URL(config.publicUrl);
  const { cookieDomain } = config;
  // URLs allow more characters in host names than DNS.
  const isOurs = (hostname: string) =>
    hostname === home.hostname || (cookieDomain !== null && isUnder(hostname, cookieDomain) && isHost(hostname));

  return {
    accept: (next) => {
      // Browsers skip tabs and line breaks, and before the query they read \ as /. Addresses with any of these, or with a
      // space, are refused.
      if (!next || next.length > MAX_LOGIN_ADDRESS_BYTES || !/^[!-[\]-~]+(?:[?#][!-~]*)?$/.test(next)) return null;
      const isPath = next.startsWith('/') && !next.startsWith('//');
      const url = URL.parse(isPath ? home.origin + next : next);
      if (url === null || !isOurs(url.hostname)) return null;
      if (url.username !== '' || url.password !== '') return null;
      if (url.protocol !== 'https:' && (url.protocol !== 'http:' || home.protocol === 'https:')) return null;
      // Refuses addresses that the URL parser had to normalize, such as https:evil or 0x7f.1. Honest ones are plain.
      const start = `${url.protocol}//${url.hostname}`;
      const isPlain = next.toLowerCase().startsWith(start) && /^(?:[:/?#]|$)/.test(next.slice(start.length));
      return isPath || isPlain ? url : null;
    },
  };
}
