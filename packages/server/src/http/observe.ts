// Records every finished request in the log and the metrics. It decides nothing and reads no bodies.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AnyTRPCRouter } from '@trpc/server';
import type { Log } from '../log.ts';
import { hideTokens } from '../text.ts';
import type { ClientAddress } from './client-address.ts';
import { requestIdOf } from './request-id.ts';
import { createTargets, type Target } from './target.ts';

const ABORTED = 'aborted';

/** A finished request. */
export interface Observed extends Target {
  /** The status that was sent, or `aborted` if the caller disconnected first. */
  status: string;
  seconds: number;
}

/** Proxies call forward-auth for every asset, and supervisors probe every few seconds. Their lines would hide the others. */
const isFrequent = ({ face }: Target) => face === 'verify' || face === 'probe';

/** Longer paths are cut in the log, in characters. */
const MAX_PATH = 200;

const withoutSecrets = (url: string) => hideTokens(url.replace(/\?.*/s, '')).replace(/\?.*/s, '').slice(0, MAX_PATH);

/**
 * Watches a request until it is finished. Null if neither the log nor the metrics need it, so that it costs nothing.
 *
 * Requests are logged at `debug`, and forward-auth and probes at `trace`: a proxy in front has its own access log, and
 * problems are logged separately at `warn` or above. Query strings are never logged: they may hold a return address or
 * a pasted secret.
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
    // Read now, because Express changes both while it routes.
    const { method = '', url = '' } = req;
    // Read now, because a closed connection has no address.
    const ip = log.isLevelEnabled('debug') ? clientAddress(req) : null;
    res.once('close', () => {
      const status = res.writableFinished ? String(res.statusCode) : ABORTED;
      const observed = { ...targetOf(method, url), status, seconds: (performance.now() - begin) / 1000 };
      record?.(observed);
      write({ method, url, ip }, res, observed);
    });
  };
}
