// The tRPC face: the procedures in tRPC's envelope, one at a time or in batches of up to ten.
import { type AnyTRPCRouter, getTRPCErrorFromUnknown, getTRPCErrorShape, TRPCError } from '@trpc/server';
import { resolveResponse } from '@trpc/server/http';
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/config.ts';
import { describeError } from '../errors.ts';
import { messages } from '../messages.ts';
import type { RequestLog } from '../repeated-lines.ts';
import { logError, refuseMethod, sendJson } from './answer.ts';
import { readJsonText, readQuery, refuseFields } from './body.ts';
import type { CreateContext } from './context.ts';
import { refuseForeignOrigin } from './guard.ts';
import { refuseInvalidHost } from './host.ts';
import { strictJson } from './strict-json.ts';

const MAX_BATCH = 10;

export function createTrpc(options: {
  router: AnyTRPCRouter;
  config: Pick<Config, 'publicUrl' | 'allowedOrigins'>;
  createContext: CreateContext;
  log: RequestLog;
}): RequestHandler {
  const { router, config, createContext, log } = options;

  const answer = async (req: Request, res: Response): Promise<void> => {
    refuseInvalidHost(req);
    const path = procedurePath(req);
    const method = req.method === 'HEAD' ? 'GET' : req.method;
    if (method !== 'GET' && method !== 'POST') return refuseMethod(req, res, ['GET', 'POST']);
    refuseForeignOrigin(req, config);
    refuseStream(req);
    const { batch, input, ...unknown } = readQuery(req);
    refuseFields(method === 'POST' && input !== undefined ? { ...unknown, input } : unknown);
    const body = method === 'POST' ? await readJsonText(req, res) : null;

    // Built without the caller's Host header and URI, which may not form a valid URL.
    const search = new URLSearchParams({ ...(batch ? { batch } : {}), ...(input ? { input: strictJson(input) } : {}) });
    const response = await resolveResponse({
      router,
      path,
      req: new Request(`http://localhost/?${search}`, {
        method,
        body,
        headers: { 'content-type': 'application/json' },
      }),
      error: null,
      createContext: async () => createContext(req, res),
      maxBatchSize: MAX_BATCH,
      onError: ({ error }) => logError(log, error, { res, described: describeError(error) }),
      responseMeta: ({ errors }) => retryAfter(errors),
    });
    for (const name of ['Allow', 'Retry-After']) {
      const value = response.headers.get(name);
      if (value !== null) res.setHeader(name, value);
    }
    res
      .status(response.status)
      .type('json')
      .end(await response.text());
  };

  const refuse = (res: Response, cause: unknown): void => {
    const error = getTRPCErrorFromUnknown(cause);
    const described = describeError(error);
    logError(log, error, { res, described });
    const unknown = { type: 'unknown', path: undefined, input: undefined, ctx: undefined } as const;
    const shape = getTRPCErrorShape({ config: router._def._config, error, ...unknown });
    sendJson(res, described.status, { error: shape });
  };

  return (req, res) => {
    answer(req, res).catch((error: unknown) => refuse(res, error));
  };
}

/** The procedure names in the path, joined by commas. The path is one segment in which only the comma may be encoded. */
function procedurePath(req: Request): string {
  const path = /^\/((?:[\w.,]|%2c)+)$/i.exec(req.path)?.[1];
  if (path === undefined)
    throw new TRPCError({ code: 'NOT_FOUND', message: messages.noSuchPath(req.baseUrl + req.path) });
  return path;
}

/** A streamed batch sends its headers before a procedure runs, so it could set neither cookies nor the status. */
function refuseStream(req: Request): void {
  if (!`${req.headers['trpc-accept']},${req.headers.accept}`.includes('application/jsonl')) return;
  throw new TRPCError({
    code: 'BAD_REQUEST',
    message: 'Streamed batches are not supported; use httpLink or httpBatchLink.',
  });
}

function retryAfter(errors: readonly TRPCError[]): { headers?: Record<string, string> } {
  const longest = Math.max(0, ...errors.map((error) => describeError(error).retryAfterSeconds ?? 0));
  return longest > 0 ? { headers: { 'Retry-After': String(longest) } } : {};
}
