// The id by which a request is found again: in the answer, in the log, and in the log of the proxy before it.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/config.ts';
import { createPeerTrust } from './client-address.ts';

const HEADER = 'X-Request-Id';

/** What proxies make of themselves: UUIDs, hexadecimal, base64url, with a few marks between. Nothing that bends a log. */
const isSane = (id: string) => /^[\w.:+/=@-]{1,128}$/.test(id);

export type IdentifyRequest = (req: IncomingMessage, res: ServerResponse) => void;

/** The id of each request, by its response. */
const ids = new WeakMap<ServerResponse, string>();

/** Gives a request its id and puts it on the response: the one that a trusted proxy sent, or else a new one. */
export function createRequestIds(config: Pick<Config, 'trustedProxies'>): IdentifyRequest {
  const isBelieved = createPeerTrust(config);

  return (req, res) => {
    const sent = req.headers['x-request-id'];
    const isTaken = typeof sent === 'string' && isSane(sent) && isBelieved(req);
    const id = isTaken ? sent : randomUUID();
    ids.set(res, id);
    res.setHeader(HEADER, id);
  };
}

/** The id of the request that this response answers; undefined if it was given none. */
export const requestIdOf = (res: ServerResponse): string | undefined => ids.get(res);
