// The package's public surface: the client, its options, its error, and the API's types.
import { createTRPCClient, httpLink, type TRPCClient } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { CookieStore } from './cookie-store.ts';
import { backchannelErrors } from './errors.ts';
import { createRetries, type RetryOptions } from './retry.ts';
import type { AppRouter } from './router.ts';
import { createTransport } from './transport.ts';

export type { CookieStore } from './cookie-store.ts';
export { BackchannelError, type BackchannelErrorCode, type BackchannelIssue } from './errors.ts';
export type { RetryOptions } from './retry.ts';

/** Every procedure of the server: `.query()` reads, `.mutate()` changes. Each takes `{ signal }` as its last argument. */
export type BackchannelClient = TRPCClient<AppRouter>;

/** What each procedure takes: `BackchannelInputs['auth']['login']`. */
export type BackchannelInputs = inferRouterInputs<AppRouter>;

/** What each procedure answers: `BackchannelOutputs['auth']['me']`. */
export type BackchannelOutputs = inferRouterOutputs<AppRouter>;

export interface BackchannelClientOptions {
  /** Where the server answers, scheme and all, without a path: `http://localhost:8000`. */
  url: string | URL;
  /** An API token (`bct_…`). It then decides alone: no cookie is sent or kept. */
  token?: string;
  /** Used in place of the global `fetch`; it has to heed `signal` and `redirect: 'manual'`. */
  fetch?: typeof globalThis.fetch;
  /** How long a call may take with its retries, in milliseconds: 30 000 unless told, `Infinity` for no limit. */
  timeoutMs?: number;
  /**
   * How a query is asked again that a busy server answered with 429 or 503; `false` for never. A mutation is sent once,
   * whatever becomes of it.
   */
  retry?: RetryOptions | false;
  /** Keeps the cookies beyond this process, for clients outside a browser. */
  cookies?: CookieStore;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest that a timer can be set for: 2^31 - 1, some 24 days. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/**
 * A client of one BackChannel server. Outside browsers it keeps the session cookie itself, for as long as the client
 * lives and apart from every other client; in a browser the browser does.
 *
 * @example
 * const bc = createBackchannelClient({ url: 'http://localhost:8000' });
 * await bc.auth.login.mutate({ password });
 * const { session } = await bc.auth.me.query();
 *
 * @throws TypeError when an option cannot be used. Calls reject with a `BackchannelError` and with nothing else.
 */
export function createBackchannelClient(options: BackchannelClientOptions): BackchannelClient {
  const origin = checkUrl(options.url);
  if (options.token !== undefined && options.cookies) {
    throw new TypeError('cookies: a token decides alone and has no cookies to keep; leave out one of the two');
  }
  const transport = createTransport({
    origin,
    token: options.token === undefined ? null : checkToken(options.token),
    cookies: options.cookies ?? null,
    retries: createRetries(options.retry ?? {}),
    timeoutMs: checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    // Looked up at each call, so that what a program or a test puts there later is used.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
  });
  // One request a call: in a batch one slow procedure holds up the others, and a streamed one cannot set cookies.
  return createTRPCClient<AppRouter>({
    links: [
      backchannelErrors,
      httpLink({ url: new URL('/trpc', origin).href, fetch: (url, init) => transport(String(url), init) }),
    ],
  });
}

// No message repeats the value: an address may carry a password, and a token is one.
function checkUrl(url: string | URL): URL {
  const parsed = URL.canParse(String(url)) ? new URL(url) : null;
  const isAddress = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.href === `${parsed.origin}/`;
  if (!isAddress) {
    throw new TypeError('url: needs http:// or https://, a host, and nothing after it, such as http://localhost:8000');
  }
  return parsed;
}

function checkToken(token: string): string {
  const trimmed = token.trim();
  if (!/^[\x21-\x7e]+$/.test(trimmed)) {
    throw new TypeError('token: is empty or has characters that no token has; leave it out to sign in with a password');
  }
  return trimmed;
}

function checkTimeout(ms: number): number {
  if (ms === Number.POSITIVE_INFINITY || (ms > 0 && ms <= MAX_TIMEOUT_MS)) return ms;
  throw new TypeError(`timeoutMs: needs a number of milliseconds from 1 to ${MAX_TIMEOUT_MS}, or Infinity`);
}
