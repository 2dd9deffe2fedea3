/**
 * Which domains strangers share, by the public suffix list (publicsuffix.org) with its private section: `co.uk`, `github.io`.
 * The list's default rule does not count, so `lan` is no suffix by it. The list is loaded when it is first needed.
 */
import { createRequire } from 'node:module';
import { isUnder } from './address.ts';

const require = createRequire(import.meta.url);

function lookUp(hostname: string) {
  const { parse } = require('tldts') as typeof import('tldts');
  return parse(hostname, { allowPrivateDomains: true, extractHostname: false, validateHostname: false });
}

/** Whether anyone can have a name under this domain. Browsers keep no cookie for such a domain. */
export function isPublicSuffix(domain: string): boolean {
  const { publicSuffix, isIcann, isPrivate } = lookUp(domain);
  return publicSuffix === domain && (isIcann === true || isPrivate === true);
}

/**
 * Whether a domain is so wide that browsers keep no cookie of this host for it: a public suffix that the host is under, or a
 * domain above that, such as `amazonaws.com` for a host under `s3.amazonaws.com`.
 */
export function isTooWide(domain: string, hostname: string): boolean {
  const { domain: registered } = lookUp(hostname);
  return isPublicSuffix(domain) || (registered !== null && !isUnder(domain, registered));
}

/** The longest domain of two labels or more that both host names are under, and that strangers do not share; or null. */
export function commonDomain(one: string, other: string): string | null {
  const labels = one.split('.').reverse();
  const shared: string[] = [];
  for (const [index, label] of other.split('.').reverse().entries()) {
    if (labels[index] !== label) break;
    shared.unshift(label);
  }
  if (shared.length < 2 || /^\d+$/.test(shared.at(-1) ?? '')) return null;
  const domain = shared.join('.');
  return isTooWide(domain, one) ? null : domain;
}
