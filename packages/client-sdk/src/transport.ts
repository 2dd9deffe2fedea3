// One call to the server: cookies or token on the way out, and on the way back only answers that are BackChannel's. It
// knows HTTP and tRPC's envelope, and none of the procedures.
import { type Answer, readAnswer } from './answer.ts';
import { type CookieStore, createKeptCookies } from './cookie-store.ts';
import { createCookieJar } from './cookies.ts';
import { createDeadline } from './deadline.ts';
import { BackchannelError } from './errors.ts';
import { isForLater, type NextWait } from './retry.ts';

export interface TransportOptions {
  origin: URL;
  token: string | null;
  /** Where cookies outlive the process; null where they need not. */
  cookies: CookieStore | null;
  /** How long a whole call may take, its retries included, in milliseconds; Infinity for as long as it takes. */
  timeoutMs: number;
  /** What says, from the start of a call on, whether and when it is sent again. */
  retries: () => NextWait;
  fetch: typeof globalThis.fetch;
}

/** A request as tRPC's link makes it. */
type Call = Omit<RequestInit, 'signal'> & { signal?: AbortSignal | null | undefined };

/** What tRPC's link calls in place of fetch. It rejects with a BackchannelError, except when the caller aborts. */
export function createTransport({ origin, token, cookies, timeoutMs, retries, fetch }: TransportOptions) {
  // A token decides alone: a cookie beside it would only be in its way.
  const jar = token === null ? createCookieJar(origin) : null;
  const kept = jar && cookies ? createKeptCookies(jar, cookies) : null;

  const send = async (url: string, init: Call, signal: AbortSignal): Promise<Response> => {
    const { pathname } = new URL(url);
    const headers = new Headers(init.headers);
    if (token !== null) headers.set('authorization', `Bearer ${token}`);
    // In a browser the jar stays empty, for no page can read Set-Cookie.
    const cookie = jar?.header(pathname);
    if (cookie) headers.set('cookie', cookie);
    const response = await fetch(url, {
      ...init,
      headers,
      signal,
      credentials: jar ? 'include' : 'omit',
      // The API never redirects. Whoever does is not the server, and gets neither password nor cookie.
      redirect: 'manual',
    });
    const lines = response.headers.getSetCookie?.() ?? [];
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
        // Only what reads is sent again: of a change that was turned away, only the caller knows if it is still wanted.
        const waitMs = init.method === 'GET' && isForLater(response.status) ? nextWait(answer.retryAfterSeconds) : null;
        // Where time runs out first, the answer that there is says more than a timeout.
        if (waitMs === null || waitMs >= deadline.leftMs()) return answer.take();
        await deadline.wait(waitMs);
      }
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
      deadline.end();
    }
  };
}

/** Node says "fetch failed" and keeps the reason one level down. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error ? (error.cause ?? error) : error;
  if (typeof inner === 'object' && inner !== null && 'code' in inner && typeof inner.code === 'string')
    return inner.code;
  return inner instanceof Error ? inner.message : String(inner);
}
