// One request to the server: cookies or token on the way out, and on the way back only answers that are BackChannel's.
// It knows HTTP and tRPC's envelope, and none of the procedures.
import { createCookieJar } from './cookies.ts';
import { BackchannelError } from './errors.ts';

export interface TransportOptions {
  origin: URL;
  token: string | null;
  /** How long a whole answer may take, in milliseconds; Infinity for as long as it takes. */
  timeoutMs: number;
  fetch: typeof globalThis.fetch;
}

/** A request as tRPC's link makes it. */
type Call = Omit<RequestInit, 'signal'> & { signal?: AbortSignal | null | undefined };

/** An answer as far as tRPC reads it. */
interface Answer {
  ok: boolean;
  json(): Promise<unknown>;
}

/** What tRPC's link calls in place of fetch. It rejects with a BackchannelError, except when the caller aborts. */
export function createTransport({ origin, token, timeoutMs, fetch }: TransportOptions) {
  // A token decides alone: a cookie beside it would only be in its way.
  const jar = token === null ? createCookieJar(origin) : null;

  return async (url: string, init: Call = {}): Promise<Answer> => {
    const { pathname } = new URL(url);
    const headers = new Headers(init.headers);
    if (token !== null) headers.set('authorization', `Bearer ${token}`);
    // In a browser the jar stays empty, for no page can read Set-Cookie.
    const cookie = jar?.header(pathname);
    if (cookie) headers.set('cookie', cookie);

    const deadline = new AbortController();
    const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => deadline.abort(), timeoutMs);
    const signal = init.signal ? AbortSignal.any([init.signal, deadline.signal]) : deadline.signal;
    try {
      const response = await fetch(url, {
        ...init,
        headers,
        signal,
        credentials: jar ? 'include' : 'omit',
        // The API never redirects. Whoever does is not the server, and gets neither password nor cookie.
        redirect: 'manual',
      });
      jar?.remember(response.headers.getSetCookie?.() ?? [], pathname);
      return await readAnswer(response, origin);
    } catch (cause) {
      if (cause instanceof BackchannelError || init.signal?.aborted) throw cause;
      if (deadline.signal.aborted) {
        throw new BackchannelError(`${origin.origin} has not answered within ${timeoutMs} ms.`, {
          code: 'TIMEOUT',
          cause,
        });
      }
      throw new BackchannelError(`${origin.origin} cannot be reached: ${reasonOf(cause)}.`, {
        code: 'UNREACHABLE',
        cause,
      });
    } finally {
      clearTimeout(timer);
    }
  };
}

async function readAnswer(response: Response, origin: URL): Promise<Answer> {
  const text = await response.text();
  const { body, cause } = parse(text);
  if (isEnvelope(body)) return { ok: response.ok, json: async () => body };
  throw new BackchannelError(describeStranger(response, origin), {
    code: 'UNEXPECTED_ANSWER',
    // A browser hides a redirect behind the status 0.
    status: response.status || null,
    retryAfterSeconds: readRetryAfter(response.headers.get('retry-after')),
    cause,
  });
}

function parse(text: string): { body?: unknown; cause?: unknown } {
  try {
    return { body: JSON.parse(text) };
  } catch (cause) {
    return { cause };
  }
}

/** tRPC's answer to a single call: a result, or an error with one of the contract's codes. */
function isEnvelope(body: unknown): boolean {
  if (!isRecord(body)) return false;
  if (!('error' in body)) return isRecord(body.result);
  const { error } = body;
  return (
    isRecord(error) &&
    typeof error.message === 'string' &&
    typeof error.code === 'number' &&
    isRecord(error.data) &&
    typeof error.data.code === 'string' &&
    typeof error.data.httpStatus === 'number'
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function describeStranger(response: Response, origin: URL): string {
  const location = response.headers.get('location');
  if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
    const target = location && URL.canParse(location, origin.href) ? new URL(location, origin) : null;
    // Without the query: it may carry what is nobody's business in a log.
    const where = target ? ` to ${target.origin}${target.pathname}` : '';
    return `${origin.origin} redirects${where}: \`url\` has to be the address where BackChannel itself answers.`;
  }
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'no content type';
  return `${origin.origin} answered ${response.status} (${type}), but not as BackChannel does: is it a proxy or another server?`;
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function readRetryAfter(header: string | null): number | null {
  if (header === null) return null;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}

/** Node says "fetch failed" and keeps the reason one level down. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error ? (error.cause ?? error) : error;
  if (isRecord(inner) && typeof inner.code === 'string') return inner.code;
  return inner instanceof Error ? inner.message : String(inner);
}
