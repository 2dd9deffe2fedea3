// Turns every thrown error into one of the API's error codes, without exposing internals.
import { TRPCError } from '@trpc/server';
import { ZodError, z } from 'zod';
import { messages } from './messages.ts';
import { StoreUnavailableError } from './store/database.ts';

/** Every error code of the API with its HTTP status (RFC 9110, RFC 6585 for 429). */
export const errorStatuses = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  STEP_UP_REQUIRED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_SUPPORTED: 405,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_REQUESTS: 429,
  INTERNAL_SERVER_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
} as const;
export type ErrorCode = keyof typeof errorStatuses;

export interface Issue {
  /** The field: names and indexes joined by dots, empty for the input as a whole. */
  path: string;
  message: string;
}

export interface ErrorDescription {
  message: string;
  code: ErrorCode;
  status: number;
  issues?: Issue[];
  /** Whole seconds to wait before the next try, on 429 and 503. */
  retryAfterSeconds?: number;
}

/** An error that tells the caller how long to wait before trying again. */
export class RetryLaterError extends TRPCError {
  readonly retryAfterSeconds: number;

  constructor(options: { code: 'TOO_MANY_REQUESTS' | 'SERVICE_UNAVAILABLE'; message: string; seconds: number }) {
    super({ code: options.code, message: options.message });
    this.retryAfterSeconds = options.seconds;
  }
}

/** The session is live, but the operation needs a recently authenticated one (OWASP ASVS 7.5.1). */
export class StepUpRequiredError extends TRPCError {
  constructor() {
    super({ code: 'FORBIDDEN', message: messages.stepUpRequired });
  }
}

/** Input that is rejected before schema validation. */
export class InputError extends TRPCError {
  readonly issues: Issue[];

  constructor(issues: Issue[]) {
    super({ code: 'BAD_REQUEST' });
    this.issues = issues;
  }
}

/** How long to wait when the database is unavailable. It is short because every request tries the database again. */
const STORE_RETRY_AFTER_SECONDS = 2;

/** Describes an error for the caller. Any unexpected error becomes INTERNAL_SERVER_ERROR without details. */
export function describeError(error: unknown): ErrorDescription {
  const cause = error instanceof TRPCError ? error.cause : error;
  if (cause instanceof StoreUnavailableError) {
    return describe('SERVICE_UNAVAILABLE', messages.databaseAway, {
      retryAfterSeconds: STORE_RETRY_AFTER_SECONDS,
    });
  }
  if (!(error instanceof TRPCError) || error.code === 'INTERNAL_SERVER_ERROR') return internal;
  if (error instanceof RetryLaterError) {
    const { retryAfterSeconds } = error;
    return describe(error.code as ErrorCode, error.message, { retryAfterSeconds });
  }
  if (error instanceof StepUpRequiredError) return describe('STEP_UP_REQUIRED', error.message);
  const issues = error instanceof InputError ? error.issues : cause instanceof ZodError ? issuesOf(cause) : null;
  if (issues) return describe('BAD_REQUEST', messages.invalidInput, { issues });
  // The parser's own message repeats parts of the input, which may include a password.
  if (error.code === 'PARSE_ERROR' || cause instanceof SyntaxError) {
    return describe('BAD_REQUEST', messages.notJson);
  }
  return error.code in errorStatuses ? describe(error.code as ErrorCode, error.message) : internal;
}

function describe(
  code: ErrorCode,
  message: string,
  rest: { issues?: Issue[]; retryAfterSeconds?: number } = {},
): ErrorDescription {
  return { message, code, status: errorStatuses[code], ...rest };
}

const internal = describe('INTERNAL_SERVER_ERROR', messages.internal);

/** Converts Zod's issues: one issue for each unknown field, and "Missing." for a missing field. */
export function issuesOf(error: ZodError): Issue[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'Unknown field.' }));
    }
    return [{ path: path.join('.'), message: path.length > 0 && isMissing(issue) ? 'Missing.' : issue.message }];
  });
}

/** Zod does not keep the input with an issue, so this compares the issue's message with the message for a missing value. */
function isMissing(issue: ZodError['issues'][number]): boolean {
  if (issue.code !== 'invalid_type') return false;
  const forMissing = z.config().localeError?.({ ...issue, input: undefined });
  return issue.message === (typeof forMissing === 'string' ? forMissing : forMissing?.message);
}
