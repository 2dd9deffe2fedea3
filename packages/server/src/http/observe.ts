// What is told of a request once it is over: a line in the log, and the metrics. It decides nothing and reads no body.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AnyTRPCRouter } from '@trpc/server';
import type { Log } from '../log.ts';
import type { ClientAddress } from './client-address.ts';
import { requestIdOf } from './request-id.ts';
import { createTargets, type Target } from './target.ts';

const ABORTED = 'aborted';

/** A request that is over. */
export interface Observed extends Target {
  /** The status as it was sent; `aborted` where the caller left before. */
  status: string;
  seconds: number;
}

/** What a proxy asks for every asset, and a supervisor every few seconds, would hide all the rest. */
const isFrequent = ({ face }: Target) => face === 'verify' || face === 'probe';

/** No longer part of a path is written down. */
const MAX_PATH = 200;

const withoutSecrets = (url: string) =>
  url
    .replace(/\?.*/s, '')
    .replace(/bct_.*/s, 'bct_…')
    .slice(0, MAX_PATH);

/**
 * Watches a request until it is over. Null where nobody wants to know: then it costs nothing.
 *
 * A line for each request is at `debug`, and at `trace` for forward-auth and probes: a proxy in front has its own, and
 * whatever needs somebody is at `warn` or above by itself. A query is never written down: it may hold an address to go
 * back to, or what somebody pasted there.
 */
export function createObserver(options: {
  router: AnyTRPCRouter;
  clientAddress: ClientAddress;
  log: Log;
  record: ((observed: Observed) => void) | null;
}): ((req: IncomingMessage, res: ServerResponse) => void) | null {
  const { router, clientAddress, log, record } = options;
  if (record === null && !log.isLevelEnabled('debug')) return null;
  const targetOf = createTargets(router);

  const write = (req: { method: string; url: string; ip: string | null }, res: ServerResponse, observed: Observed) => {
    const level = isFrequent(observed) ? 'trace' : 'debug';
    if (!log.isLevelEnabled(level)) return;
    const { face, operation, status, seconds } = observed;
    log[level](
      {
        requestId: requestIdOf(res),
        method: req.method,
        path: withoutSecrets(req.url),
        ip: req.ip,
        face,
        operation,
        status: status === ABORTED ? status : Number(status),
        durationMs: Math.round(seconds * 10_000) / 10,
      },
      'request',
    );
  };

  return (req, res) => {
    const begin = performance.now();
    // Express changes both while it looks for who answers.
    const { method = '', url = '' } = req;
    // A connection that is closed has no address any more.
    const ip = log.isLevelEnabled('debug') ? clientAddress(req) : null;
    res.once('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : ABORTED;
      const observed = { ...targetOf(method, url), status, seconds: (performance.now() - begin) / 1000 };
      record?.(observed);
      write({ method, url, ip }, res, observed);
    });
  };
}
