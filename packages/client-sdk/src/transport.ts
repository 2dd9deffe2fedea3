// Sends one call to the server with its cookies or token, and accepts only responses from BackChannel. It knows HTTP and
// tRPC's envelope, and none of the procedures.
import { type Answer, readAnswer } from './answer.ts';
import { type CookieStore, createKeptCookies } from './cookie-store.ts';
import { createCookieJar } from './cookies.ts';
import { createDeadline } from './deadline.ts';
import { BackchannelError } from './errors.ts';
import { isRetryable, type NextWait } from './retry.ts';
import { readSetCookie } from './set-cookie.ts';

export interface TransportOptions {
  origin: URL;
  token: string | null;
  /** The store that keeps cookies after the process ends; null for none. */
  cookies: CookieStore | null;
  /** The time limit for a call, retries included; Infinity for no limit. */
  timeoutMs: number;
  /** Called at the start of a call. The result decides whether and when the call is sent again. */
  retries: () => NextWait;
  fetch: typeof globalThis.fetch;
}

/** A request from tRPC's link. */
type Call = Omit<RequestInit, 'signal'> & { signal?: AbortSignal | null | undefined };

/** tRPC's link calls this instead of fetch. It rejects with a BackchannelError, except when the caller aborts. */
export function createTransport({ origin, token, cookies, timeoutMs, retries, fetch }: TransportOptions) {
  // The server ignores cookies next to a token, so none are kept.
  const jar = token === null ? createCookieJar(origin) : null;
  const kept = jar && cookies ? createKeptCookies(jar, cookies) : null;

  const send = async (url: string, init: Call, signal: AbortSignal): Promise<Response> => {
    const { pathname } = new URL(url);
    const headers = new Headers(init.headers);
    if (token !== null) headers.set('authorization', `Bearer ${token}`);
    // In a browser the jar stays empty, because a page can't read Set-Cookie.
    const cookie = jar?.header(pathname);
    if (cookie) headers.set('cookie', cookie);
    const response = await fetch(url, {
      ...init,
      headers,
      signal,
      credentials: jar ? 'include' : 'omit',
      ...noCache(),

      // The API never redirects. A redirect comes from something else, which must get neither password nor cookie.
      redirect: 'manual',
    });
    const lines = readSetCookie(response.headers);
    if (lines.length > 0) {
      jar?.remember(lines, pathname);
      kept?.touch();
    }
    return response;
  };

  return async (url: string, init: Call = {}): Promise<ReturnType<Answer['take']>> => {
    await kept?.loaded();
    const deadline = createDeadline(timeoutMs, init.signal);
    const nextWait = retries();
    try {
      for (;;) {
        const response = await send(url, init, deadline.signal);
        const answer = await readAnswer(response, origin);
        await kept?.saved();
        // Only queries are sent again. Only the caller knows whether a rejected change is still wanted.
        const waitMs =
          init.method === 'GET' && isRetryable(response.status) ? nextWait(answer.retryAfterSeconds) : null;
        // If the time runs out first, the response at hand is more useful than a timeout.
        if (waitMs === null || waitMs >= deadline.leftMs()) return answer.take();
        await deadline.wait(waitMs);
      }
    } catch (cause) {
      if (cause instanceof BackchannelError || init.signal?.aborted) throw cause;
      if (deadline.signal.aborted) {
        throw new BackchannelError(`${origin.origin} did not respond within ${timeoutMs} ms.`, {
          code: 'TIMEOUT',
          cause,
        });
      }
      throw new BackchannelError(`${origin.origin} cannot be reached: ${reasonOf(cause)}.`, {
        code: 'UNREACHABLE',
        cause,
      });
    } finally {
      deadline.end();
    }
  };
}

/**
 * Next.js keeps responses of fetch, also after a revocation, unless a request forbids it. Where a Request has no `cache`, the
 * option does harm: Cloudflare Workers before 2024-11-11 reject it, and React Native's fetch adds `?_=…` to the address, which
 * the server refuses.
 */
function noCache(): { cache?: 'no-store' } {
  return typeof Request === 'function' && 'cache' in Request.prototype ? { cache: 'no-store' } : {};
}

/** Node's error says "fetch failed" and has the reason in `cause`. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error ? (error.cause ?? error) : error;
  if (typeof inner === 'object' && inner !== null && 'code' in inner && typeof inner.code === 'string')
    return inner.code;
  return inner instanceof Error ? inner.message : String(inner);
}
