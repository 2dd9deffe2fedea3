// The only error class of this package, and the tRPC link that converts every failure into it.
import { TRPCClientError, type TRPCLink } from '@trpc/client';
import { observable } from '@trpc/server/observable';
import type { AppRouter } from './router.ts';

type ErrorShape = AppRouter['_def']['_config']['$types']['errorShape'];

/**
 * The kind of failure: one of the server's codes, or one of five for failures without a response from the server.
 *
 * - `UNREACHABLE`: no response, or an incomplete one: connection refused, unknown host, TLS error, cut off. In a browser
 *   also an origin that is not in ALLOWED_ORIGINS.
 * - `TIMEOUT`: no response within `timeoutMs`, or within the caller's `AbortSignal.timeout()`.
 * - `ABORTED`: the caller's signal was aborted; `cause` is its reason.
 * - `UNEXPECTED_ANSWER`: a response that isn't from BackChannel: a proxy's error page, a redirect, another server.
 * - `COOKIE_STORE_FAILED`: a function of the `cookies` option threw; `cause` is the thrown value.
 *
 * A newer server may send a code that is not listed here. Keep a `default` in your `switch`.
 */
export type BackchannelErrorCode =
  | ErrorShape['data']['code']
  | 'UNREACHABLE'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'UNEXPECTED_ANSWER'
  | 'COOKIE_STORE_FAILED';

/** A problem with one field of the input. `path` is empty for the input as a whole. */
export type BackchannelIssue = NonNullable<ErrorShape['data']['issues']>[number];

export interface BackchannelErrorDetails {
  code: BackchannelErrorCode;
  status?: number | null;
  issues?: readonly BackchannelIssue[] | undefined;
  retryAfterSeconds?: number | null | undefined;
  cause?: unknown;
  /** The server's original error, for tools that read tRPC's `shape` and `data`. */
  shape?: ErrorShape;
}

/** The error that every failed call rejects with. It is also a `TRPCClientError`, for tools that look for one. */
export class BackchannelError extends TRPCClientError<AppRouter> {
  override readonly name = 'BackchannelError';
  readonly code: BackchannelErrorCode;
  /** The HTTP status; null without a response. */
  readonly status: number | null;
  /** The problems with the input, field by field. Empty if the input is not the reason. */
  readonly issues: readonly BackchannelIssue[];
  /** Whole seconds to wait before the next attempt; null if the response doesn't say. */
  readonly retryAfterSeconds: number | null;

  constructor(message: string, details: BackchannelErrorDetails) {
    super(message, {
      ...(details.cause === undefined ? {} : { cause: asError(details.cause) }),
      ...(details.shape ? { result: { error: details.shape } } : {}),
    });
    // The constructor of TRPCClientError resets the prototype to its own class.
    Object.setPrototypeOf(this, new.target.prototype);
    this.code = details.code;
    this.status = details.status ?? null;
    this.issues = details.issues ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds ?? null;
    // A logged error shows the fields above, and doesn't repeat them in tRPC's form.
    for (const key of ['name', 'shape', 'data', 'meta', 'cause'])
      Object.defineProperty(this, key, { enumerable: false });
    if (details.cause === undefined) Reflect.deleteProperty(this, 'cause');
  }
}

/** The link that goes before the link that sends. */
export const backchannelErrors: TRPCLink<AppRouter> = () => {
  return ({ op, next }) =>
    observable((observer) =>
      next(op).subscribe({
        next: (value) => observer.next(value),
        error: (error) => observer.error(asBackchannelError(error, op.signal)),
        complete: () => observer.complete(),
      }),
    );
};

function asBackchannelError(error: TRPCClientError<AppRouter>, signal: AbortSignal | null | undefined) {
  if (error instanceof BackchannelError) return error;
  const { shape } = error;
  if (shape) {
    const { code, httpStatus: status, issues, retryAfterSeconds } = shape.data;
    return new BackchannelError(shape.message, { code, status, issues, retryAfterSeconds, shape });
  }
  // Use the reason of the signal itself, because tRPC replaces it with a generic one.
  if (signal?.aborted) {
    const cause: unknown = signal.reason;
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      return new BackchannelError('The time limit of the given signal has passed.', { code: 'TIMEOUT', cause });
    }
    return new BackchannelError('The call was aborted.', { code: 'ABORTED', cause });
  }
  // The transport reports every failure of a request that was sent. What is left was never sent.
  return new BackchannelError('The input cannot be converted to JSON.', { code: 'BAD_REQUEST', cause: error.cause });
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
