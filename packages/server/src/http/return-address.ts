// Where a browser may be sent after it has signed in: to this server, or to an application that forward-auth protects.
// A wrong answer here is an open redirect (OWASP ASVS 5, 3.7.2; CWE-601), so it takes little and never mends what it gets.
import { isHost, isUnder } from '../config/address.ts';
import type { Config } from '../config/config.ts';

/** More than this, in characters, is no address that a person came from. */
const MAX_LENGTH = 2048;

/** Why there is no way back: what forward-auth logs, and what `/login` is told in place of an address, to say it in words. */
const noReturns = ['proxy-not-trusted', 'address-not-told', 'address-not-usable', 'host-not-allowed'] as const;
export type NoReturn = (typeof noReturns)[number];

/** The one that a page was told, or null where it is none. */
export const asNoReturn = (reason: string | null | undefined): NoReturn | null =>
  noReturns.find((each) => each === reason) ?? null;

export interface ReturnAddress {
  /**
   * The address in a `next` when it may be followed, else null: http or https, https where PUBLIC_URL is, at PUBLIC_URL's
   * host name (any port) or at COOKIE_DOMAIN and under it. A path alone is one of this server.
   */
  accept(next: string | null | undefined): URL | null;
}

export function createReturnAddress(config: Pick<Config, 'publicUrl' | 'cookieDomain'>): ReturnAddress {
  const home = new URL(config.publicUrl);
  const { cookieDomain } = config;
  // URLs have more in their host names than DNS has: a ; in one would end a directive of the page's policy.
  const isOurs = (hostname: string) =>
    hostname === home.hostname || (cookieDomain !== null && isUnder(hostname, cookieDomain) && isHost(hostname));

  return {
    accept: (next) => {
      // Browsers read \ as / and skip tabs and line breaks: what holds any of these, or a space, is not looked at further.
      if (!next || next.length > MAX_LENGTH || /[^!-~]|\\/.test(next)) return null;
      const isPath = next.startsWith('/') && !next.startsWith('//');
      const url = URL.parse(isPath ? home.origin + next : next);
      if (url === null || !isOurs(url.hostname)) return null;
      if (url.username !== '' || url.password !== '') return null;
      if (url.protocol !== 'https:' && (url.protocol !== 'http:' || home.protocol === 'https:')) return null;
      // An address that had to be read into shape first, such as https:evil or 0x7f.1, is nobody's honest one.
      const start = `${url.protocol}//${url.hostname}`;
      const isPlain = next.toLowerCase().startsWith(start) && /^(?:[:/?#]|$)/.test(next.slice(start.length));
      return isPath || isPlain ? url : null;
    },
  };
}
