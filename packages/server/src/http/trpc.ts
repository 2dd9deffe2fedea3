// The tRPC face: the same procedures, tRPC's own envelope.
import type { AnyTRPCRouter } from '@trpc/server';
import { TRPCError } from '@trpc/server';
import { createExpressMiddleware } from '@trpc/server/adapters/express';
import type { RequestHandler } from 'express';
import type { Config } from '../config.ts';
import { describeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { CreateContext } from './context.ts';
import { crossOriginRefusal } from './guard.ts';
import { logError, MAX_BODY_BYTES } from './rest.ts';

const MAX_BATCH = 10;

export function createTrpc(options: {
  router: AnyTRPCRouter;
  config: Pick<Config, 'publicUrl' | 'allowedOrigins'>;
  createContext: CreateContext;
  log: Log;
}): RequestHandler {
  const { router, config, createContext, log } = options;
  const handle = createExpressMiddleware({
    router,
    maxBodySize: MAX_BODY_BYTES,
    maxBatchSize: MAX_BATCH,
    createContext: ({ req, res }) => {
      const refusal = crossOriginRefusal(req, config);
      if (refusal) throw new TRPCError({ code: 'FORBIDDEN', message: refusal });
      return createContext(req, res);
    },
    onError: ({ error }) => logError(log, error, describeError(error)),
    responseMeta: ({ errors }) => {
      const waits = errors.map((error) => describeError(error).retryAfterSeconds ?? 0);
      const longest = Math.max(0, ...waits);
      return longest > 0 ? { headers: { 'Retry-After': String(longest) } } : {};
    },
  });

  return (req, res, next) => {
    if (req.method === 'OPTIONS') {
      res.setHeader('Allow', 'GET, HEAD, POST, OPTIONS');
      res.status(204).end();
      return;
    }
    handle(req, res, next);
  };
}
