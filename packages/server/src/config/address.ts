/**
 * Host names, addresses and origins in the configuration. It looks nothing up: only the spelling counts.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { quoted } from './problem.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** An IP address (IPv6 without brackets) or a host name (RFC 1123 labels, and the underscore that containers use). */
export function isHost(value: string): boolean {
  if (isIP(value) !== 0) return true;
  // A last label of digits is a mistyped IPv4 address ("127.0.0.256"). Resolvers disagree about those.
  if (value.length > 253 || /(?:^|\.)\d+$/.test(value)) return false;
  return value.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label));
}

/** An IP address, or a network of them: `10.0.0.0/8`, `fd00::/8`. Nothing as wide as the whole internet. */
export function isNetwork(value: string): boolean {
  const [address = '', bits, ...rest] = value.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes('%')) return false;
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

/** True for `localhost`, 127.0.0.0/8 and ::1 in any spelling. Only this machine can connect to them. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host.toLowerCase() === 'localhost';
  return loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

/** The same for an origin's host. Browsers resolve `*.localhost` to this machine too (RFC 6761, section 6.3). */
export function isLoopbackOrigin(origin: string): boolean {
  const host = bareHostname(new URL(origin));
  return isLoopback(host) || host.endsWith('.localhost');
}

/** Whether a host name is a domain or a subdomain of it (RFC 6265, 5.1.3). Both in the spelling of URLs. */
export function isUnder(hostname: string, domain: string): boolean {
  return hostname === domain || hostname.endsWith(`.${domain}`);
}

/**
 * Parses an origin (RFC 6454) and nothing more: scheme, host and perhaps a port.
 * @returns the origin as browsers spell it, or why the value is none
 */
export function parseOrigin(value: string): { origin: string } | { problem: string } {
  const rest = /^https?:\/\/(.*)$/is.exec(value)?.[1];
  if (rest === undefined) return { problem: `${quoted(value)} does not begin with http:// or https://` };
  const authority = rest.split(/[/?#\\]/, 1)[0] ?? '';
  if (authority.includes('@')) return { problem: 'has a user or password in its address' };
  if (authority !== rest) return { problem: `${quoted(value)} has something after the host and port` };
  // URL drops tabs and line breaks and accepts `*` as a letter, so this checks the host again.
  const url = /\s/.test(value) ? null : URL.parse(value);
  if (url === null || !isHost(bareHostname(url))) return { problem: `${quoted(value)} has no valid host and port` };
  return { origin: url.origin };
}

function bareHostname(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** A host to put before a port: IPv6 in brackets (RFC 3986, 3.2.2). */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
