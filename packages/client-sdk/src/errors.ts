// The one error of this package, and the one link that makes everything that fails into it.
import { TRPCClientError, type TRPCLink } from '@trpc/client';
import { observable } from '@trpc/server/observable';
import type { AppRouter } from './router.ts';

type ErrorShape = AppRouter['_def']['_config']['$types']['errorShape'];

/**
 * What went wrong. The server's own codes, and five for when there is no answer of the server's:
 *
 * - `UNREACHABLE`: no answer, or half of one: refused, no such name, TLS, cut off; in a browser also an origin that
 *   is not in ALLOWED_ORIGINS.
 * - `TIMEOUT`: no answer within `timeoutMs`, or a caller's `AbortSignal.timeout()` has passed.
 * - `ABORTED`: the caller's signal was aborted; `cause` is its reason.
 * - `UNEXPECTED_ANSWER`: something answered, but not BackChannel: a proxy's error page, a redirect, another server.
 * - `COOKIE_STORE_FAILED`: a function of the `cookies` option threw; `cause` is what it threw.
 *
 * A newer server may send a code that is not listed yet: leave a `default` in a `switch`.
 */
export type BackchannelErrorCode =
  | ErrorShape['data']['code']
  | 'UNREACHABLE'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'UNEXPECTED_ANSWER'
  | 'COOKIE_STORE_FAILED';

/** What is wrong with one field of an input; `path` is empty for the input as a whole. */
export type BackchannelIssue = NonNullable<ErrorShape['data']['issues']>[number];

export interface BackchannelErrorDetails {
  code: BackchannelErrorCode;
  status?: number | null;
  issues?: readonly BackchannelIssue[] | undefined;
  retryAfterSeconds?: number | null | undefined;
  cause?: unknown;
  /** The server's error as it came, for what reads tRPC's `shape` and `data`. */
  shape?: ErrorShape;
}

/** What every call rejects with. It is a `TRPCClientError` too, for tools that look for one. */
export class BackchannelError extends TRPCClientError<AppRouter> {
  override readonly name = 'BackchannelError';
  readonly code: BackchannelErrorCode;
  /** The HTTP status; null when there was no answer. */
  readonly status: number | null;
  /** What is wrong with the input, field by field; empty when that is not the reason. */
  readonly issues: readonly BackchannelIssue[];
  /** Whole seconds to wait before the next try; null when nobody said. */
  readonly retryAfterSeconds: number | null;

  constructor(message: string, details: BackchannelErrorDetails) {
    super(message, {
      ...(details.cause === undefined ? {} : { cause: asError(details.cause) }),
      ...(details.shape ? { result: { error: details.shape } } : {}),
    });
    // TRPCClientError makes every instance one of its own class only.
    Object.setPrototypeOf(this, new.target.prototype);
    this.code = details.code;
    this.status = details.status ?? null;
    this.issues = details.issues ?? [];
    this.retryAfterSeconds = details.retryAfterSeconds ?? null;
    // A logged error shows what is above, and not the same again in tRPC's words.
    for (const key of ['name', 'shape', 'data', 'meta', 'cause'])
      Object.defineProperty(this, key, { enumerable: false });
    if (details.cause === undefined) Reflect.deleteProperty(this, 'cause');
  }
}

/** Stands before the link that sends. */
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
  // The signal's own reason: on the way here tRPC has put a bare one in its place.
  if (signal?.aborted) {
    const cause: unknown = signal.reason;
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      return new BackchannelError("The caller's time for an answer has passed.", { code: 'TIMEOUT', cause });
    }
    return new BackchannelError('The call was aborted.', { code: 'ABORTED', cause });
  }
  // All else was judged where it was sent: what is left never was sent.
  return new BackchannelError('The input cannot be written as JSON.', { code: 'BAD_REQUEST', cause: error.cause });
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
