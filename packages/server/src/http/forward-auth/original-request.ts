// Reads the method and address of the original request from the headers that a proxy sends. The caller decides whether to
// trust the proxy, and whether the address may be followed.
import type { IncomingHttpHeaders } from 'node:http';
import { parseOrigin } from '../../config/address.ts';

export interface OriginalRequest {
  /** As the browser sent it; null if the proxy does not report it. */
  readonly method: string | null;
  /** Without the port, as URLs spell it; null if the proxy does not report it. */
  readonly hostname: string | null;
  /** The whole address, with path and query as the browser sent them; null if a part is missing or invalid. */
  readonly address: string | null;
}

/** The parts that each family of headers can report. */
interface Reported {
  method: string | undefined;
  proto: string | undefined;
  host: string | undefined;
  uri: string | undefined;
}

const parts = ['method', 'proto', 'host', 'uri'] as const;

/**
 * Reads X-Forwarded-Method, -Proto, -Host and -Uri. Reads X-Original-URL and X-Original-Method only if there are none of
 * these. A proxy sets one family and may pass on the client's headers of the other, so if they differ, one is forged.
 */
export function readOriginalRequest(headers: IncomingHttpHeaders): OriginalRequest | 'contradiction' {
  const forwarded = readForwarded(headers);
  const original = readOriginal(headers);
  if (original === null) return interpret(forwarded);
  if (parts.every((part) => forwarded[part] === undefined))
    return original === 'broken' ? nothing : interpret(original);
  if (original === 'broken') return 'contradiction';
  const differs = (part: keyof Reported) =>
    forwarded[part] !== undefined && original[part] !== undefined && !isSame(part, forwarded[part], original[part]);
  return parts.some(differs) ? 'contradiction' : interpret(forwarded);
}

const nothing: OriginalRequest = { method: null, hostname: null, address: null };

const one = (header: string | string[] | undefined) => (header === undefined ? undefined : String(header));

function readForwarded(headers: IncomingHttpHeaders): Reported {
  return {
    method: one(headers['x-forwarded-method']),
    proto: one(headers['x-forwarded-proto']),
    host: one(headers['x-forwarded-host']),
    uri: one(headers['x-forwarded-uri']),
  };
}

function readOriginal(headers: IncomingHttpHeaders): Reported | 'broken' | null {
  const url = one(headers['x-original-url']);
  const method = one(headers['x-original-method']);
  if (url === undefined)
    return method === undefined ? null : { method, proto: undefined, host: undefined, uri: undefined };
  const [, proto, host, uri] = /^(\w+):\/\/([^/?#]*)(\/.*)?$/.exec(url) ?? [];
  return proto === undefined || host === undefined ? 'broken' : { method, proto, host, uri: uri ?? '/' };
}

function isSame(part: keyof Reported, a: string, b: string): boolean {
  return part === 'proto' || part === 'host' ? a.toLowerCase() === b.toLowerCase() : a === b;
}

function interpret({ method, proto, host, uri }: Reported): OriginalRequest {
  // Some proxies report ws or wss for a WebSocket.
  const scheme = proto?.toLowerCase().replace(/^ws/, 'http');
  const at = host === undefined ? null : readHost(host, scheme ?? 'https');
  return {
    method: method ?? null,
    hostname: at?.hostname ?? null,
    address: at !== null && scheme !== undefined && uri?.startsWith('/') ? at.origin + uri : null,
  };
}

/** Parses a host and port. Null if the URL parser had to normalize the host, such as a%2eb. */
function readHost(host: string, scheme: string): URL | null {
  const parsed = parseOrigin(`${scheme}://${host}`);
  const url = 'origin' in parsed ? new URL(parsed.origin) : null;
  if (url === null || !host.toLowerCase().startsWith(url.hostname)) return null;
  // The URL parser drops invisible characters, such as %C2%AD at the end. Proxies keep them when they route.
  return /^(?::\d*)?$/.test(host.slice(url.hostname.length)) ? url : null;
}
