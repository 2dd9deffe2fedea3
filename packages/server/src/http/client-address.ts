// The caller's address: the socket's, or the one that trusted proxies report. It parses with node:net, which proxy-addr and
// ipaddr.js can't replace: they are several times slower, and ipaddr.js throws on addresses such as ::192.0.2.1.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, SocketAddress } from 'node:net';
import type { Config } from '../config/config.ts';
import type { Log } from '../log.ts';
import { logOnce } from '../log-once.ts';

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

/** Nobody is trusted by default. The first untrusted X-Forwarded-For is logged, with the setting that would trust it. */
export function createClientAddress(config: Pick<Config, 'trustedProxies'>, log: Log): ClientAddress {
  const isTrusted = createTrust(config.trustedProxies);
  const lineFor = (peer: string) => `TRUSTED_PROXIES=${[...config.trustedProxies, peer].join(',')}`;
  const warn = logOnce((peer: string) => {
    log.warn(
      `X-Forwarded-For from ${peer} is ignored: it is not in TRUSTED_PROXIES. If it is your proxy, set ${lineFor(peer)}`,
    );
  });

  return (req) => {
    const peer = peerOf(req);
    const forwarded = req.headers['x-forwarded-for'];
    if (peer === null || forwarded === undefined) return peer;
    if (!isTrusted(peer)) {
      warn(peer);
      return peer;
    }
    // Each proxy appends the address it saw. From the end, the first address that is not a trusted proxy is the caller.
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

/** The address at the other end of a request's connection. Null once it is closed. */
export const peerOf = (req: IncomingMessage): string | null => foldAddress(req.socket.remoteAddress);

/** Whether a trusted proxy sent a request, so that its X-Forwarded-* headers are trusted. */
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

/** One spelling per address (RFC 5952): IPv4-mapped IPv6 as IPv4, no zone. Null if the text is no address. */
export function foldAddress(text: string | undefined): string | null {
  const version = isIP(text ?? '');
  if (text === undefined || version === 0) return null;
  if (version === 4) return text;
  const { address } = new SocketAddress({ address: text.replace(/%.*$/s, ''), family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
}

/** Some proxies add the port: `203.0.113.7:1234`, `[2001:db8::1]:1234`. */
function withoutPort(hop: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop;
}
