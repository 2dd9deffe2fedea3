// The Host of a request (RFC 9112, 3.2). Two programs that read a doubtful one differently would route and judge differently,
// so such a request is refused on every face.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { TRPCError } from '@trpc/server';
import { messages } from '../messages.ts';

/** A name or an IPv4 address, or IPv6 in brackets, perhaps with a port. Narrower than a URI's host, which no browser sends. */
const hostAndPort = /^(?:[\w.-]*|\[([\da-f:.]+)\])(?::(\d{0,5}))?$/i;

/** The scheme and the authority of a target in absolute form (RFC 9112, 3.2.2). */
const absoluteForm = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i;

const defaultPorts: Readonly<Record<string, string>> = { http: '80', https: '443' };

/** Whether a request has one valid Host that does not contradict its target. An empty one is valid, and HTTP/1.0 needs none. */
export function hasValidHost({ headers, rawHeaders, httpVersion, url = '' }: IncomingMessage): boolean {
  const { host } = headers;
  if (host === undefined) return httpVersion === '1.0';
  if (!isHostAndPort(host) || isRepeated(rawHeaders)) return false;
  // All but proxies send the path alone.
  if (url.startsWith('/')) return true;
  const [, scheme = '', authority] = absoluteForm.exec(url) ?? [];
  return authority === undefined || spelled(authority, scheme) === spelled(host, scheme);
}

/** Nearly every Host. */
const plainName = /^[a-z\d.-]+(?::\d{1,4})?$/;

function isHostAndPort(host: string): boolean {
  if (plainName.test(host)) return true;
  const [whole, ipv6, port] = hostAndPort.exec(host) ?? [];
  return whole !== undefined && (ipv6 === undefined || isIPv6(ipv6)) && Number(port ?? 0) <= 65_535;
}

/** Node keeps the first of several and drops the others. */
function isRepeated(rawHeaders: readonly string[]): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name === 'Host' || name === 'host') count += 1;
    else if (name?.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count > 1;
}

const spelled = (authority: string, scheme: string) =>
  authority.toLowerCase().replace(new RegExp(`:(?:${defaultPorts[scheme.toLowerCase()] ?? ''})?$`), '');

const invalid = new WeakSet<IncomingMessage>();

/** Checks the Host before the target is rewritten. `refuseInvalidHost` throws later, so that each face responds in its way. */
export function checkHost(req: IncomingMessage, res: ServerResponse): void {
  if (hasValidHost(req)) return;
  invalid.add(req);
  // Where one request ends may be as doubtful as its host.
  res.shouldKeepAlive = false;
}

/** Throws BAD_REQUEST if the Host is not valid. */
export function refuseInvalidHost(req: IncomingMessage): void {
  if (invalid.has(req)) throw new TRPCError({ code: 'BAD_REQUEST', message: messages.invalidHost });
}
