// Whether TRUSTED_PROXIES fits HOST and PUBLIC_URL: who may say what a caller's address is.
import { isIP } from 'node:net';
import { isLoopback } from '../config/address.ts';
import type { Config } from '../config/config.ts';
import { createTrust } from '../http/client-address.ts';
import { advice, type Finding, ok } from './finding.ts';

const about = 'TRUSTED_PROXIES';

export function checkProxies({ trustedProxies, secureCookies, host }: Config): Finding[] {
  if (trustedProxies.length === 0) {
    if (!secureCookies) return [ok(about, 'is not set: X-Forwarded-* headers are ignored')];
    const example = isLoopback(host) ? '127.0.0.1' : 'private, or its address';
    const text =
      "every visitor appears to come from the proxy's address, and a stranger's failed sign-ins make everyone wait";
    return [advice(about, `is not set, although https needs a proxy: ${text}; set TRUSTED_PROXIES=${example}`)];
  }
  const findings = [ok(about, `the X-Forwarded-* headers of ${trustedProxies.join(', ')} are trusted`)];
  for (const entry of trustedProxies.filter(isVast)) {
    findings.push(advice(about, `${entry} is a large part of the internet, and any of it can forge its address`));
  }
  if (isLoopback(host) && !['127.0.0.1', '::1'].some(createTrust(trustedProxies))) {
    findings.push(advice(about, `does not contain this machine, and no other can reach HOST=${host}: set 127.0.0.1`));
  }
  // With https, people reach the proxy. Without, they probably reach this server directly.
  if (trustedProxies.includes('private') && !secureCookies && !isLoopback(host)) {
    findings.push(
      advice(
        about,
        `private trusts every machine of the local network that can reach ${host}: name the proxy's address`,
      ),
    );
  }
  return findings;
}

const isPrivate = createTrust(['private']);

function isVast(entry: string): boolean {
  const [address = '', bits] = entry.split('/');
  if (bits === undefined) return false;
  // The widest private IPv6 network is fc00::/7. Those of IPv4 have 8 bits or more.
  const least = isIP(address) === 4 ? 8 : isPrivate(address) ? 7 : 16;
  return Number(bits) < least;
}
