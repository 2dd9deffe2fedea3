// The path of a request through the server, top to bottom. Nothing is decided here; each line names the part that does.
import type { RequestListener } from 'node:http';
import { TRPCError } from '@trpc/server';
import express, { type ErrorRequestHandler } from 'express';
import type { Config } from '../config/config.ts';
import { messages } from '../messages.ts';
import type { RequestLog } from '../repeated-lines.ts';
import { appRouter } from '../router.ts';
import type { Services } from '../services/services.ts';
import type { Store } from '../store/database.ts';
import { sendError } from './answer.ts';
import { createClientAddress } from './client-address.ts';
import { createContextFactory } from './context.ts';
import { createCookies } from './cookies.ts';
import { createDocs } from './docs/docs.ts';
import { createVerify } from './forward-auth/verify.ts';
import { cors } from './guard.ts';
import { noStore, securityHeaders } from './headers.ts';
import { createHealth } from './health.ts';
import { checkHost, refuseInvalidHost } from './host.ts';
import { createTurns } from './listener/turns.ts';
import { createLoops } from './loops.ts';
import type { Metrics } from './metrics.ts';
import { createObserver } from './observe.ts';
import { createPages } from './pages/pages.ts';
import { API_PATH, isVerify, pathOf, TRPC_PATH } from './paths.ts';
import { createRequestIds } from './request-id.ts';
import { createRest } from './rest.ts';
import { createReturnAddress } from './return-address.ts';
import { createTrpc } from './trpc.ts';

export function createApp(options: {
  config: Config;
  store: Store;
  services: Services;
  log: RequestLog;
  /** Null if metrics are off. */
  metrics: Pick<Metrics, 'record'> | null;
  /** Whether the server is shutting down. */
  isDraining: () => boolean;
}): RequestListener {
  const { config, store, services, log, metrics, isDraining } = options;
  const cookies = createCookies(config, services.clock);
  // Shared, so that the warning about an untrusted proxy is logged once.
  const clientAddress = createClientAddress(config, log);
  const createContext = createContextFactory({ cookies, clientAddress, services });
  const returnAddress = createReturnAddress(config);
  const loops = createLoops(services.clock);
  const faces = { router: appRouter, config, createContext, log };

  const app = express();
  // Independent of NODE_ENV: in any other environment, Express's fallback error handler exposes stacks.
  app.set('env', 'production');
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');

  app.use(securityHeaders);
  // It refuses an invalid Host itself, in its own envelope.
  app.use(TRPC_PATH, noStore, cors(config), createTrpc(faces));
  app.use((req, _res, next) => {
    refuseInvalidHost(req);
    next();
  });
  app.use(createHealth({ store, isDraining }));
  app.use(API_PATH, noStore, cors(config), createRest(faces));
  const pages = createPages({ ...faces, returnAddress, loops, clock: services.clock });
  app.use(pages.known);
  app.use(createDocs({ config, router: appRouter, createContext }));
  app.use(pages.unknown);
  app.use((req) => {
    throw new TRPCError({ code: 'NOT_FOUND', message: messages.noSuchPath(req.path) });
  });
  const onError: ErrorRequestHandler = (error: unknown, _req, res, _next) => sendError(res, asClientError(error), log);
  app.use(onError);
  const identify = createRequestIds(config);
  const observe = createObserver({ router: appRouter, clientAddress, log, record: metrics?.record ?? null });
  const verify = createVerify({ config, cookies, clientAddress, returnAddress, loops, services, log, identify });
  const takeTurn = createTurns();
  return (req, res) => {
    checkHost(req, res);
    req.url = pathOf(req.url ?? '');
    observe?.(req, res);
    if (isVerify(req.url)) return verify(req, res);
    identify(req, res);
    takeTurn(req.method, () => app(req, res));
  };
}

/** Express's own refusals, such as a path that is not valid percent-encoding, carry a status below 500. */
function asClientError(error: unknown): unknown {
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  if (error instanceof TRPCError || typeof status !== 'number' || status >= 500) return error;
  return new TRPCError({ code: 'BAD_REQUEST', message: 'The request could not be understood.' });
}
