// The REST face: each procedure at the method and path that its meta names. JSON in, JSON out, nothing coerced.
import type { ServerResponse } from 'node:http';
import { type AnyTRPCRouter, callTRPCProcedure, TRPCError } from '@trpc/server';
import type { Request, RequestHandler, Response } from 'express';
import type { Config } from '../config/config.ts';
import { describeError, type ErrorDescription, InputError, RetryLaterError } from '../errors.ts';
import type { Log } from '../log.ts';
import { readJsonText, toFields } from './body.ts';
import type { CreateContext } from './context.ts';
import { refuseForeignOrigin } from './guard.ts';
import { STATUS_CODES } from './listener/node-http.ts';
import { createOperations } from './operations.ts';
import { requestIdOf } from './request-id.ts';

export function createRest(options: {
  router: AnyTRPCRouter;
  config: Pick<Config, 'publicUrl' | 'allowedOrigins'>;
  createContext: CreateContext;
  log: Log;
}): RequestHandler {
  const { router, config, createContext, log } = options;
  const operations = createOperations(router);

  const answer = async (req: Request, res: Response): Promise<unknown> => {
    const found = operations.find(req.path);
    if (!found) throw new TRPCError({ code: 'NOT_FOUND', message: `There is no ${req.baseUrl}${req.path}.` });
    const operation = found.methods.get(req.method === 'HEAD' ? 'GET' : req.method);
    if (!operation) return refuseMethod(req, res, [...found.methods.keys()]);
    refuseForeignOrigin(req, config);

    const query = readQuery(req);
    // What changes something takes its input from the body alone: a URL is kept in histories and logs.
    if (operation.type === 'mutation') refuseFields(query);
    const body = operation.type === 'mutation' ? await readJsonText(req, res) : '';
    // Not before the procedure asks: what is wrong with an input is told to nobody but those who may call it.
    const readInput = () => {
      const fields = operation.type === 'query' ? operation.readQuery(query) : parseObject(body);
      return withPathFields(fields, found.pathFields);
    };
    return callTRPCProcedure({
      router,
      path: operation.name,
      type: operation.type,
      ctx: createContext(req, res),
      getRawInput: async () => readInput(),
      signal: undefined,
      batchIndex: 0,
    });
  };

  return (req, res) => {
    answer(req, res).then(
      (result) => {
        if (!res.writableEnded) sendJson(res, 200, result);
      },
      (error: unknown) => sendError(res, error, log),
    );
  };
}

/** A field of the path is there once: in the path. */
function withPathFields(fields: object, pathFields: Record<string, string>): object {
  for (const path of Object.keys(pathFields)) {
    if (Object.hasOwn(fields, path)) throw new InputError([{ path, message: 'This field is in the path already.' }]);
  }
  return { ...fields, ...pathFields };
}

/** Answers OPTIONS with what is allowed here, and refuses every other method. */
export function refuseMethod(req: Request, res: Response, methods: string[]): undefined {
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  res.setHeader('Allow', allowed);
  if (req.method !== 'OPTIONS') {
    throw new TRPCError({ code: 'METHOD_NOT_SUPPORTED', message: `Use ${allowed.replaceAll(', ', ' or ')} here.` });
  }
  res.status(204).end();
}

/** The query string as an object of strings. */
export function readQuery(req: Request): Record<string, string> {
  const start = req.url.indexOf('?');
  if (start < 0) return {};
  return toFields(new URLSearchParams(req.url.slice(start)));
}

/** Refuses what a query string has left over. */
export function refuseFields(query: Record<string, string>): void {
  const issues = Object.keys(query).map((path) => ({ path, message: 'Unknown field in the address.' }));
  if (issues.length > 0) throw new InputError(issues);
}

/** A bodyless request is one without fields. */
function parseObject(text: string): object {
  if (text === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TRPCError({ code: 'PARSE_ERROR', cause });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new TRPCError({ code: 'BAD_REQUEST', message: 'The body is not a JSON object.' });
}

export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.end(JSON.stringify(body));
}

/** Answers any error in the contract's shape, and logs what the outside is not told. */
export function sendError(res: ServerResponse, error: unknown, log: Log): void {
  const described = describeError(error);
  logError(log, error, { res, described });
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { message, code, status, issues, retryAfterSeconds } = described;
  res.setHeader('Cache-Control', 'no-store');
  if (retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(retryAfterSeconds));
  sendJson(res, status, { message, code, ...(issues ? { issues } : {}) });
}

/** Expected refusals are debug lines, shed ones too; what the server failed at is an error with its stack. */
export function logError(
  log: Log,
  error: unknown,
  options: { res: ServerResponse; described: ErrorDescription },
): void {
  const { status, code } = options.described;
  const requestId = requestIdOf(options.res);
  if (status >= 500 && !(error instanceof RetryLaterError))
    log.error({ err: error, code, requestId }, STATUS_CODES[status] ?? 'error');
  else log.debug({ code, requestId }, STATUS_CODES[status] ?? 'refused');
}
