// The address of the caller: the socket's, or, behind proxies that the operator trusts, the one that they saw.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, SocketAddress } from 'node:net';
import type { Config } from '../config/config.ts';
import type { Log } from '../log.ts';

/** Loopback, RFC 1918, unique local addresses (RFC 4193), and carrier-grade NAT (RFC 6598). */
const privateNetworks = [
  '127.0.0.0/8',
  '::1',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
  '100.64.0.0/10',
];

export type ClientAddress = (req: IncomingMessage) => string | null;

/** Nobody is believed by default. A stranger that sends X-Forwarded-For is told of once, with the line that trusts it. */
export function createClientAddress(config: Pick<Config, 'trustedProxies'>, log: Log): ClientAddress {
  const isTrusted = createTrust(config.trustedProxies);
  const lineFor = (peer: string) => `TRUSTED_PROXIES=${[...config.trustedProxies, peer].join(',')}`;
  let isTold = false;

  return (req) => {
    const peer = peerOf(req);
    const forwarded = req.headers['x-forwarded-for'];
    if (peer === null || forwarded === undefined) return peer;
    if (!isTrusted(peer)) {
      if (!isTold) log.warn(`X-Forwarded-For from ${peer} is not believed; if it is your proxy: ${lineFor(peer)}`);
      isTold = true;
      return peer;
    }
    // Each proxy adds the address that it saw at the end: the first one from there that is no proxy of ours is the caller.
    let caller = peer;
    for (const hop of String(forwarded).split(',').reverse()) {
      const address = foldAddress(withoutPort(hop.trim()));
      if (address === null) break;
      caller = address;
      if (!isTrusted(address)) break;
    }
    return caller;
  };
}

/** The address at the other end of a request's connection; null once that is gone. */
export const peerOf = (req: IncomingMessage): string | null => foldAddress(req.socket.remoteAddress);

/** Whether what a request says in X-Forwarded-* and the like is believed: a trusted proxy sent it. */
export function createPeerTrust(config: Pick<Config, 'trustedProxies'>): (req: IncomingMessage) => boolean {
  const isTrusted = createTrust(config.trustedProxies);
  return (req) => {
    const peer = peerOf(req);
    return peer !== null && isTrusted(peer);
  };
}

/** Whether an address belongs to a trusted proxy. */
export function createTrust(trustedProxies: readonly string[]): (address: string) => boolean {
  const networks = new BlockList();
  for (const entry of trustedProxies.flatMap((each) => (each === 'private' ? privateNetworks : [each]))) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(bits), family);
  }
  return (address) => networks.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** One spelling for one address (RFC 5952), IPv4-mapped IPv6 as IPv4, without a zone; null for what is no address. */
export function foldAddress(text: string | undefined): string | null {
  const version = isIP(text ?? '');
  if (text === undefined || version === 0) return null;
  if (version === 4) return text;
  const { address } = new SocketAddress({ address: text.replace(/%.*$/s, ''), family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
}

/** Some proxies write the port, too: `203.0.113.7:1234`, `[2001:db8::1]:1234`. */
function withoutPort(hop: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop;
}
