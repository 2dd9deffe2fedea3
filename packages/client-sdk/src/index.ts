// The package's public surface: the client, its options, its error, and the API's types.
import { createTRPCClient, httpLink, type TRPCClient } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { CookieStore } from './cookie-store.ts';
import { backchannelErrors } from './errors.ts';
import { createRetries, type RetryOptions } from './retry.ts';
import type { AppRouter } from './router.ts';
import { createTransport } from './transport.ts';
import { parseUrl } from './url.ts';

export type { CookieStore } from './cookie-store.ts';
export { BackchannelError, type BackchannelErrorCode, type BackchannelIssue } from './errors.ts';
export type { RetryOptions } from './retry.ts';

/** Every procedure of the server: `.query()` reads, `.mutate()` changes. Both accept `{ signal }` as the last argument. */
export type BackchannelClient = TRPCClient<AppRouter>;

/** The input of each procedure: `BackchannelInputs['auth']['login']`. */
export type BackchannelInputs = inferRouterInputs<AppRouter>;

/** The output of each procedure: `BackchannelOutputs['auth']['me']`. */
export type BackchannelOutputs = inferRouterOutputs<AppRouter>;

export interface BackchannelClientOptions {
  /** The address of the server, with its scheme and without a path: `http://localhost:8000`. */
  url: string | URL;
  /** An API token (`bct_…`). With a token, no cookies are sent or kept. */
  token?: string;
  /** Used instead of the global `fetch`. It must support `signal` and `redirect: 'manual'`. */
  fetch?: typeof globalThis.fetch;
  /** The time limit for a call, retries included, in milliseconds. Default: 30 000. `Infinity` for no limit. */
  timeoutMs?: number;
  /**
   * When to retry a query to which a busy server responded 429 or 503; `false` for never. A mutation is always sent only
   * once.
   */
  retry?: RetryOptions | false;
  /** Keeps the cookies after this process ends, for clients outside a browser. */
  cookies?: CookieStore;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** The longest delay of a timer: 2^31 - 1, some 24 days. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/**
 * Creates a client of one BackChannel server. In a browser, the browser keeps the session cookie. Elsewhere the client
 * keeps it in memory, separately from every other client.
 *
 * @example
 * const bc = createBackchannelClient({ url: 'http://localhost:8000' });
 * await bc.auth.login.mutate({ password });
 * const { session } = await bc.auth.me.query();
 *
 * @throws TypeError when an option is invalid. Calls reject only with a `BackchannelError`.
 */
export function createBackchannelClient(options: BackchannelClientOptions): BackchannelClient {
  const origin = checkUrl(options.url);
  if (options.token !== undefined && options.cookies) {
    throw new TypeError('cookies: a client with a token has no cookies to keep; leave out cookies or token');
  }
  const transport = createTransport({
    origin,
    token: options.token === undefined ? null : checkToken(options.token),
    cookies: options.cookies ?? null,
    retries: createRetries(options.retry ?? {}),
    timeoutMs: checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    // Looked up at each call, because a program or a test may replace it later.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
  });
  // One request per call: in a batch, one slow procedure delays the others, and a streamed batch can't set cookies.
  return createTRPCClient<AppRouter>({
    links: [
      backchannelErrors,
      httpLink({ url: new URL('/trpc', origin).href, fetch: (url, init) => transport(String(url), init) }),
    ],
  });
}

// No message repeats the value, because an address may contain a password, and a token is a secret.
function checkUrl(url: string | URL): URL {
  const parsed = parseUrl(String(url));
  const isAddress = parsed !== null && /^https?:$/.test(parsed.protocol) && parsed.href === `${parsed.origin}/`;
  if (!isAddress) {
    throw new TypeError('url: must be http:// or https:// and a host, without a path, such as http://localhost:8000');
  }
  return parsed;
}

function checkToken(token: string): string {
  const trimmed = token.trim();
  if (!/^[\x21-\x7e]+$/.test(trimmed)) {
    throw new TypeError('token: is empty or has invalid characters; leave it out to sign in with a password');
  }
  return trimmed;
}

function checkTimeout(ms: number): number {
  if (ms === Number.POSITIVE_INFINITY || (ms > 0 && ms <= MAX_TIMEOUT_MS)) return ms;
  throw new TypeError(`timeoutMs: must be a number of milliseconds from 1 to ${MAX_TIMEOUT_MS}, or Infinity`);
}
