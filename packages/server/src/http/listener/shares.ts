/**
 * How many connections one address may hold, and which connection closes when there are too many. It knows of the requests
 * only whether one waits for its response.
 */
import { isIPv6, type Socket } from 'node:net';
import { ipv6Network } from '../../services/throttle.ts';
import { foldAddress } from '../client-address.ts';

/** The part of all connections that one source may hold: an IPv4 address, or an IPv6 /64. */
const SHARE = 1 / 4;

/** A limit that a new connection met. `source` is null for the limit of all connections. */
export interface Crowded {
  source: string | null;
  limit: number;
}

/**
 * Returns a function that keeps a new connection or closes it. Trusted proxies have no share of their own, because all
 * visitors come through them.
 *
 * At a limit, the connection that has been unused the longest closes for the new one. To refuse the new one instead would lock
 * out every visitor of a proxy that is not trusted, such as Docker's gateway, as long as one of them holds idle connections. A
 * connection whose request has arrived never closes. If all have one, the new connection is refused.
 */
export function createShares(options: {
  maxConnections: number;
  isTrusted: (address: string) => boolean;
  /** Whether a request has arrived whole and waits for its response. */
  isBusy: (socket: Socket) => boolean;
  onCrowded: (crowded: Crowded) => void;
}): (socket: Socket) => void {
  const { maxConnections, isTrusted, isBusy, onCrowded } = options;
  const share = Math.max(1, Math.floor(maxConnections * SHARE));
  /** All connections; null for those of trusted proxies. */
  const sources = new Map<Socket, string | null>();
  /** The connections of each source, those to close first at the front. */
  const held = new Map<string, Set<Socket>>();
  /** What each connection had received when it was last looked at, in bytes. */
  const lookedAt = new WeakMap<Socket, number>();

  const keep = (socket: Socket, source: string | null) => {
    sources.set(socket, source);
    if (source !== null) held.set(source, (held.get(source) ?? new Set()).add(socket));
    socket.once('close', () => release(socket));
  };

  const release = (socket: Socket) => {
    const source = sources.get(socket) ?? null;
    sources.delete(socket);
    const others = source === null ? undefined : held.get(source);
    others?.delete(socket);
    if (source !== null && others?.size === 0) held.delete(source);
  };

  /** Closes a connection that has received nothing since the last look, or else the first that is not busy. */
  const closeOne = (sockets: Set<Socket>): boolean => {
    let first: Socket | undefined;
    let left = sockets.size;
    for (const socket of sockets) {
      if (left === 0) break;
      left -= 1;
      if (isBusy(socket)) continue;
      first ??= socket;
      if (socket.bytesRead === (lookedAt.get(socket) ?? 0)) {
        first = socket;
        break;
      }
      lookedAt.set(socket, socket.bytesRead);
      // A second chance, so that nothing has to be kept for each request.
      sockets.delete(socket);
      sockets.add(socket);
    }
    if (first === undefined) return false;
    release(first);
    first.destroy();
    return true;
  };

  const makeRoom = (source: string | null): boolean => {
    const own = (source === null ? undefined : held.get(source)) ?? new Set();
    if (own.size >= share) {
      onCrowded({ source, limit: share });
      return closeOne(own);
    }
    if (sources.size < maxConnections) return true;
    onCrowded({ source: null, limit: maxConnections });
    const largest = [...held.values()].reduce((a, b) => (b.size > a.size ? b : a), new Set<Socket>());
    return largest.size > own.size && closeOne(largest);
  };

  return (socket) => {
    const address = foldAddress(socket.remoteAddress);
    const source = address === null || isTrusted(address) ? null : sourceOf(address);
    if (address !== null && makeRoom(source)) keep(socket, source);
    else socket.destroy();
  };
}

/** One customer has an IPv6 /64 at least, so it counts as one address. */
const sourceOf = (address: string) => (isIPv6(address) ? ipv6Network(address, 64) : address);
