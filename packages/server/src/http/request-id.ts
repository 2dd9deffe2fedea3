// The request id, which appears in the response, in the log and in the log of the proxy in front.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/config.ts';
import { createPeerTrust } from './client-address.ts';

const HEADER = 'X-Request-Id';

/** Accepts the ids that proxies generate: UUIDs, hexadecimal, base64url, with some punctuation. They are safe to log. */
const isSane = (id: string) => /^[\w.:+/=@-]{1,128}$/.test(id);

export type IdentifyRequest = (req: IncomingMessage, res: ServerResponse) => void;

/** Request ids by response. */
const ids = new WeakMap<ServerResponse, string>();

/** Sets the id of a request and its response header: the id from a trusted proxy, or a new one. */
export function createRequestIds(config: Pick<Config, 'trustedProxies'>): IdentifyRequest {
  const isFromTrustedProxy = createPeerTrust(config);

  return (req, res) => {
    const sent = req.headers['x-request-id'];
    const isTaken = typeof sent === 'string' && isSane(sent) && isFromTrustedProxy(req);
    const id = isTaken ? sent : randomUUID();
    ids.set(res, id);
    res.setHeader(HEADER, id);
  };
}

/** The id of the request that this response belongs to; undefined if none was set. */
export const requestIdOf = (res: ServerResponse): string | undefined => ids.get(res);
