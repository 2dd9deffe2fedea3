// What a proxy says of the request that it asks about: its method and its address. Whether the proxy is to be believed is
// for the caller to know; whether the address may be followed, too.
import type { IncomingHttpHeaders } from 'node:http';
import { parseOrigin } from '../../config/address.ts';

export interface OriginalRequest {
  /** As the browser sent it; null where the proxy does not say. */
  readonly method: string | null;
  /** Without the port, in the spelling of URLs; null where the proxy does not say. */
  readonly hostname: string | null;
  /** The whole address, path and query as the browser sent them; null where any part of it is missing or no part of one. */
  readonly address: string | null;
}

/** What either family of headers can say. */
interface Said {
  method: string | undefined;
  proto: string | undefined;
  host: string | undefined;
  uri: string | undefined;
}

const parts = ['method', 'proto', 'host', 'uri'] as const;

/**
 * Reads X-Forwarded-Method, -Proto, -Host and -Uri; X-Original-URL and X-Original-Method only where there is none of them.
 * A proxy sets one family and may let the client's own of the other through: where both are there and differ, one is forged.
 */
export function readOriginalRequest(headers: IncomingHttpHeaders): OriginalRequest | 'contradiction' {
  const forwarded = readForwarded(headers);
  const original = readOriginal(headers);
  if (original === null) return understand(forwarded);
  if (parts.every((part) => forwarded[part] === undefined))
    return original === 'broken' ? nothing : understand(original);
  if (original === 'broken') return 'contradiction';
  const differs = (part: keyof Said) =>
    forwarded[part] !== undefined && original[part] !== undefined && !isSame(part, forwarded[part], original[part]);
  return parts.some(differs) ? 'contradiction' : understand(forwarded);
}

const nothing: OriginalRequest = { method: null, hostname: null, address: null };

const one = (header: string | string[] | undefined) => (header === undefined ? undefined : String(header));

function readForwarded(headers: IncomingHttpHeaders): Said {
  return {
    method: one(headers['x-forwarded-method']),
    proto: one(headers['x-forwarded-proto']),
    host: one(headers['x-forwarded-host']),
    uri: one(headers['x-forwarded-uri']),
  };
}

function readOriginal(headers: IncomingHttpHeaders): Said | 'broken' | null {
  const url = one(headers['x-original-url']);
  const method = one(headers['x-original-method']);
  if (url === undefined)
    return method === undefined ? null : { method, proto: undefined, host: undefined, uri: undefined };
  const [, proto, host, uri] = /^(\w+):\/\/([^/?#]*)(\/.*)?$/.exec(url) ?? [];
  return proto === undefined || host === undefined ? 'broken' : { method, proto, host, uri: uri ?? '/' };
}

function isSame(part: keyof Said, a: string, b: string): boolean {
  return part === 'proto' || part === 'host' ? a.toLowerCase() === b.toLowerCase() : a === b;
}

function understand({ method, proto, host, uri }: Said): OriginalRequest {
  // Some proxies name the scheme of a WebSocket.
  const scheme = proto?.toLowerCase().replace(/^ws/, 'http');
  const at = host === undefined ? null : readHost(host, scheme ?? 'https');
  return {
    method: method ?? null,
    hostname: at?.hostname ?? null,
    address: at !== null && scheme !== undefined && uri?.startsWith('/') ? at.origin + uri : null,
  };
}

/** A host and port as they are: one that a URL would have to read into shape first, such as a%2eb, is none. */
function readHost(host: string, scheme: string): URL | null {
  const parsed = parseOrigin(`${scheme}://${host}`);
  const url = 'origin' in parsed ? new URL(parsed.origin) : null;
  if (url === null || !host.toLowerCase().startsWith(url.hostname)) return null;
  // URL leaves out characters that are invisible, such as %C2%AD at the end: no proxy does, when it chooses whom to ask.
  return /^(?::\d*)?$/.test(host.slice(url.hostname.length)) ? url : null;
}
