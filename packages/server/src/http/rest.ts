// The REST face: each procedure at the method and path that its meta names. JSON in, JSON out, nothing coerced.
import { STATUS_CODES } from 'node:http';
import { type AnyTRPCProcedure, type AnyTRPCRouter, callTRPCProcedure, TRPCError } from '@trpc/server';
import { json, type Request, type RequestHandler, type Response } from 'express';
import type { Config } from '../config.ts';
import { describeError, type ErrorDescription, InputError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Meta } from '../trpc.ts';
import type { CreateContext } from './context.ts';
import { crossOriginRefusal } from './guard.ts';

/** The largest body any face accepts, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024;

interface Operation {
  name: string;
  type: 'query' | 'mutation';
}

/** One operation per method, by path below /api/v1. Paths are exact: case, slashes and all. */
export type Operations = ReadonlyMap<string, ReadonlyMap<string, Operation>>;

/** Every procedure's name, in the order of the router, with what it says of itself. */
export function listProcedures(router: AnyTRPCRouter): { name: string; type: Operation['type']; meta: Meta }[] {
  return Object.entries<AnyTRPCProcedure>(router._def.procedures).map(([name, procedure]) => {
    const { type, meta } = procedure._def;
    if (!meta || type === 'subscription')
      throw new TypeError(`${name} has no meta: say where it is and who may call it`);
    return { name, type, meta: meta as Meta };
  });
}

/** @throws TypeError when two procedures claim one method and path. */
export function buildOperations(router: AnyTRPCRouter): Operations {
  const operations = new Map<string, Map<string, Operation>>();
  for (const { name, type, meta } of listProcedures(router)) {
    const { method, path } = meta.openapi;
    const methods = operations.get(path) ?? new Map<string, Operation>();
    if (methods.has(method)) throw new TypeError(`${name} claims ${method} ${path}, which is taken`);
    operations.set(path, methods.set(method, { name, type }));
  }
  return operations;
}

export function createRest(options: {
  router: AnyTRPCRouter;
  config: Pick<Config, 'publicUrl' | 'allowedOrigins'>;
  createContext: CreateContext;
  log: Log;
}): RequestHandler {
  const { router, config, createContext, log } = options;
  const operations = buildOperations(router);
  const parseJson = json({ limit: MAX_BODY_BYTES, strict: true, type: 'application/json' });

  const answer = async (req: Request, res: Response): Promise<unknown> => {
    const methods = operations.get(req.path);
    if (!methods) throw new TRPCError({ code: 'NOT_FOUND', message: `There is no ${req.baseUrl}${req.path}.` });
    const operation = methods.get(req.method === 'HEAD' ? 'GET' : req.method);
    if (!operation) return refuseMethod(req, res, [...methods.keys()]);
    const refusal = crossOriginRefusal(req, config);
    if (refusal) throw new TRPCError({ code: 'FORBIDDEN', message: refusal });

    const query = readQuery(req);
    const input = operation.type === 'query' ? query : await readBody(req, res, parseJson);
    if (operation.type === 'mutation') refuseQuery(query);
    return callTRPCProcedure({
      router,
      path: operation.name,
      type: operation.type,
      ctx: createContext(req, res),
      getRawInput: async () => input,
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

function refuseMethod(req: Request, res: Response, methods: string[]): undefined {
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  res.setHeader('Allow', allowed);
  if (req.method !== 'OPTIONS') {
    throw new TRPCError({ code: 'METHOD_NOT_SUPPORTED', message: `Use ${allowed.replaceAll(', ', ' or ')} here.` });
  }
  res.status(204).end();
}

/** The query string as an object of strings. A field that is there twice is refused rather than one of them chosen. */
function readQuery(req: Request): Record<string, string> {
  const start = req.url.indexOf('?');
  if (start < 0) return {};
  const pairs = [...new URLSearchParams(req.url.slice(start))];
  const twice = pairs.find(([name], index) => pairs.findIndex(([other]) => other === name) !== index);
  if (twice) throw new InputError([{ path: twice[0], message: 'This field is there more than once.' }]);
  return Object.fromEntries(pairs);
}

/** What changes something takes its input from the body alone: a URL is kept in histories and logs. */
function refuseQuery(query: Record<string, string>): void {
  const issues = Object.keys(query).map((path) => ({ path, message: 'Unknown field; send it in the body.' }));
  if (issues.length > 0) throw new InputError(issues);
}

async function readBody(req: Request, res: Response, parseJson: RequestHandler): Promise<unknown> {
  const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (!hasBody) return {};
  if (!/^application\/json\s*(;|$)/i.test(req.headers['content-type'] ?? '')) {
    throw new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Send JSON, with Content-Type: application/json.' });
  }
  await new Promise<void>((resolve, reject) => {
    parseJson(req, res, (error?: unknown) => (error ? reject(asInputError(error)) : resolve()));
  });
  return req.body ?? {};
}

/** body-parser's errors, in our words: its own messages repeat parts of the body. */
function asInputError(error: unknown): TRPCError {
  const type = typeof error === 'object' && error !== null && 'type' in error ? error.type : undefined;
  if (type === 'entity.too.large') {
    return new TRPCError({ code: 'PAYLOAD_TOO_LARGE', message: `The body is over ${MAX_BODY_BYTES / 1024} KiB.` });
  }
  if (type === 'charset.unsupported' || type === 'encoding.unsupported') {
    return new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Send JSON in UTF-8, uncompressed.' });
  }
  return new TRPCError({ code: 'PARSE_ERROR' });
}

export function sendJson(res: Response, status: number, body: unknown): void {
  res.status(status).setHeader('Content-Type', 'application/json; charset=utf-8');
  res.end(JSON.stringify(body));
}

/** Answers any error in the contract's shape, and logs what the outside is not told. */
export function sendError(res: Response, error: unknown, log: Log): void {
  const described = describeError(error);
  logError(log, error, described);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { message, code, status, issues, retryAfterSeconds } = described;
  if (retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(retryAfterSeconds));
  sendJson(res, status, { message, code, ...(issues ? { issues } : {}) });
}

/** Expected refusals are debug lines; what the server failed at is an error with its stack. */
export function logError(log: Log, error: unknown, { status, code }: ErrorDescription): void {
  if (status >= 500) log.error({ err: error, code }, STATUS_CODES[status] ?? 'error');
  else log.debug({ code }, STATUS_CODES[status] ?? 'refused');
}
