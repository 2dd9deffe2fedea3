// Responses that all faces share: JSON, errors in the API's shape, and methods that are not allowed. Errors are logged here.
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { TRPCError } from '@trpc/server';
import type { Request, Response } from 'express';
import { describeError, type ErrorDescription, RetryLaterError } from '../errors.ts';
import type { RequestLog } from '../repeated-lines.ts';
import { requestIdOf } from './request-id.ts';

export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  res.end(JSON.stringify(body));
}

/** Sends an error in the API's shape, and logs the details that callers do not receive. */
export function sendError(res: ServerResponse, error: unknown, log: RequestLog): void {
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

/** How much of an error's message tells kinds of failures apart in the log, in characters. */
const MAX_KIND = 200;

/** Logs refusals at `debug`, and server failures at `error`, the first of a kind in a minute with its stack. */
export function logError(
  log: RequestLog,
  error: unknown,
  options: { res: ServerResponse; described: ErrorDescription },
): void {
  const { status, code } = options.described;
  const requestId = requestIdOf(options.res);
  const isFailure = status >= 500 && !(error instanceof RetryLaterError);
  if (isFailure) {
    const kind = { code, error: String((error instanceof TRPCError && error.cause) || error).slice(0, MAX_KIND) };
    log.repeated({
      level: 'error',
      message: STATUS_CODES[status] ?? 'error',
      kind,
      details: { err: error, requestId },
    });
  } else log.debug({ code, requestId }, STATUS_CODES[status] ?? 'refused');
}

/** Responds to OPTIONS with the allowed methods, and refuses every other method. */
export function refuseMethod(req: Request, res: Response, methods: string[]): undefined {
  const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ');
  res.setHeader('Allow', allowed);
  if (req.method !== 'OPTIONS') {
    throw new TRPCError({ code: 'METHOD_NOT_SUPPORTED', message: `Use ${allowed.replaceAll(', ', ' or ')} here.` });
  }
  res.status(204).end();
}
