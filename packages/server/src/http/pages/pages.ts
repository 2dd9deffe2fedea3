// The pages for people: signing in, signing out, and their sessions. Like REST and tRPC they are a face: they call procedures,
// and only choose the page for each outcome.
import { TRPCError } from '@trpc/server';
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import { describeError } from '../../errors.ts';
import { messages } from '../../messages.ts';
import type { RequestLog } from '../../repeated-lines.ts';
import type { AppRouter } from '../../router.ts';
import { type Context, createCallerFactory } from '../../trpc.ts';
import { logError, refuseMethod } from '../answer.ts';
import { readForm } from '../body.ts';
import type { CreateContext } from '../context.ts';
import { refuseForeignOrigin } from '../guard.ts';
import { setPermissions } from '../headers.ts';
import type { Loops } from '../loops.ts';
import { isForTab, isNavigation } from '../navigation.ts';
import { HOME_PATH, LOGIN_PATH, LOGOUT_PATH, SESSIONS_PATH } from '../paths.ts';
import { requestIdOf } from '../request-id.ts';
import { asNoReturn, MAX_LOGIN_ADDRESS_BYTES, type ReturnAddress } from '../return-address.ts';
import { createAddresses } from './address.ts';
import { homePage, OTHERS } from './home.ts';
import { type Page, pageCsp, renderPage } from './layout.ts';
import { loginPage, signedInPage } from './login.ts';
import { halfSignedOutPage, logoutPage, signedOutPage } from './logout.ts';
import { onwardPage, ownPage, withFragment } from './onward.ts';
import { refusalPage } from './refusal.ts';
import { createSentBack } from './sent-back.ts';

type Caller = ReturnType<AppRouter['createCaller']>;

interface Visit {
  req: Request;
  res: Response;
  context: Context;
  call: Caller;
}

type Reply =
  | { seeOther: string }
  | { page: Page; status?: number; retryAfterSeconds?: number | undefined; refresh?: string | null };

type Handler = (visit: Visit) => Promise<Reply>;

const LoginFields = z.strictObject({
  password: z.string().default(''),
  remember: z.literal('yes').optional(),
  next: z.string().optional(),
  fragment: z.string().default(''),
  reason: z.string().optional(),
});
/** The pages with a form that takes a password. */
const passwordForms = new Set([LOGIN_PATH]);

const NoFields = z.strictObject({});
const EndFields = z.strictObject({ end: z.string() });

export interface Pages {
  /** Handles `/`, `/login`, `/logout` and `/sessions`, and passes on everything else. */
  readonly known: RequestHandler;
  /** Responds to navigating browsers with a 404 page, and passes on other requests. */
  readonly unknown: RequestHandler;
}

export function createPages(options: {
  config: Config;
  router: AppRouter;
  createContext: CreateContext;
  returnAddress: ReturnAddress;
  loops: Loops;
  clock: Clock;
  log: RequestLog;
}): Pages {
  const { config, router, createContext, returnAddress, loops, clock, log } = options;
  const createCaller = createCallerFactory(router);
  const addresses = createAddresses(config);
  const sentBack = createSentBack(config);

  const showLogin: Handler = async ({ req, context }) => {
    const isTooLong = config.publicUrl.length + req.url.length > MAX_LOGIN_ADDRESS_BYTES;
    const asked = isTooLong ? null : fieldOf(req, 'next');
    const next = returnAddress.accept(asked);
    const isDropped = isTooLong || fieldOf(req, 'dropped') === 'long';
    const reason = isDropped ? 'address-too-long' : asNoReturn(fieldOf(req, 'reason'));
    const banner = addresses.banner(req, next);
    const session = await sessionOf(context);
    const wrong = session ? null : addresses.wrongAddress(req, next);
    if (wrong) return { page: wrong };
    if (!session) {
      const ended = await context.endOfSession();
      return { page: loginPage({ next, reason, banner, username: config.operatorName, ended }) };
    }
    const { hadPass: hasPass } = await context.renewPass(session);
    const isLoop = next !== null && isForTab(req.headers) && loops.visit(session.id, next);
    if (next && isForTab(req.headers) && !isLoop) return { seeOther: ownPage(next, config.publicUrl) ?? next.href };
    const from = sentBack.find({ next: asked, reason, isLoop, hasPass });
    return { page: signedInPage({ next, banner, from }) };
  };

  /** Leads on after a form. */
  const goOn = (url: URL): Reply => {
    const path = ownPage(url, config.publicUrl);
    return path === null ? onwardPage(url) : { seeOther: path };
  };

  const signIn: Handler = async ({ req, res, call }) => {
    const fields = await readFields(LoginFields, req, res);
    const next = returnAddress.accept(fields.next);
    const reason = asNoReturn(fields.reason);
    const { fragment } = fields;
    const remember = fields.remember !== undefined;
    try {
      await call.auth.login({ password: fields.password, remember });
      if (next) return goOn(withFragment(next, fragment));
      // Without a return address, the sign-in page explains why the person cannot go on to the application.
      return { seeOther: reason ? `${LOGIN_PATH}?reason=${reason}` : HOME_PATH };
    } catch (cause) {
      const error = describeError(cause);
      if (error.status === 500) throw cause;
      logError(log, cause, { res, described: error });
      const banner = addresses.banner(req, next);
      const page = loginPage({ next, fragment, reason, banner, username: config.operatorName, remember, error });
      return { page, status: error.status, retryAfterSeconds: error.retryAfterSeconds };
    }
  };

  const signOut: Handler = async ({ req, res, call }) => {
    await readFields(NoFields, req, res);
    try {
      await call.auth.logout();
      return { page: signedOutPage };
    } catch (cause) {
      // The procedure clears the cookies before it uses the database.
      const error = describeError(cause);
      logError(log, cause, { res, described: error });
      const { status, retryAfterSeconds } = error;
      return { page: halfSignedOutPage(error), status, retryAfterSeconds };
    }
  };

  /** Also when the session can't be checked, so that people can sign out when nothing else works. */
  const showLogout: Handler = async ({ context }) => {
    const isSignedOut = await sessionOf(context).then(
      (session) => session === null,
      () => false,
    );
    return { page: isSignedOut ? signedOutPage : logoutPage };
  };

  const showHome: Handler = async ({ req, context, call }) => {
    if (!(await sessionOf(context))) return { seeOther: LOGIN_PATH };
    const { sessions } = await call.auth.sessions.list();
    return { page: homePage({ sessions, now: clock(), hasDocs: config.docs !== 'off', ended: endedIn(req) }) };
  };

  const endSessions: Handler = async ({ req, res, context, call }) => {
    const { end } = await readFields(EndFields, req, res);
    if (!(await sessionOf(context))) return { seeOther: LOGIN_PATH };
    const { revoked } = await (end === OTHERS
      ? call.auth.sessions.revokeOthers()
      : call.auth.sessions.revoke({ id: end }).catch(ignoreGone));
    return { seeOther: `${HOME_PATH}?ended=${revoked}` };
  };

  const pages: ReadonlyMap<string, { GET: Handler; POST?: Handler }> = new Map([
    [HOME_PATH, { GET: showHome }],
    [LOGIN_PATH, { GET: showLogin, POST: signIn }],
    [LOGOUT_PATH, { GET: showLogout, POST: signOut }],
    [SESSIONS_PATH, { GET: async () => ({ seeOther: HOME_PATH }), POST: endSessions }],
  ]);

  const answer = async (req: Request, res: Response, handlers: { GET: Handler; POST?: Handler }): Promise<void> => {
    const method = req.method === 'HEAD' ? 'GET' : req.method;
    const handler = method === 'GET' || method === 'POST' ? handlers[method] : undefined;
    if (!handler) return refuseMethod(req, res, Object.keys(handlers));
    // Before the cross-origin rule, whose words are for pages of other origins.
    const wrong = method === 'POST' && passwordForms.has(req.path) ? addresses.wrongAddress(req, null) : null;
    if (wrong) return send(res, { page: wrong, status: 403 });
    refuseForeignOrigin(req, config);
    const context = createContext(req, res);
    send(res, await handler({ req, res, context, call: createCaller(context) }));
  };

  const refuse = (req: Request, res: Response, cause: unknown): void => {
    const error = describeError(cause);
    logError(log, cause, { res, described: error });
    if (res.headersSent) return void res.destroy();
    const { status, retryAfterSeconds } = error;
    // The banner is shown because the wrong address may be the only reason for the refusal.
    const page = refusalPage(error, { banner: addresses.banner(req, null), requestId: requestIdOf(res) });
    res.setHeader('Cache-Control', 'no-store');
    send(res, { page, status, retryAfterSeconds });
  };

  return {
    known: (req, res, next) => {
      const handlers = pages.get(req.path);
      if (!handlers) return next();
      res.setHeader('Cache-Control', 'no-store');
      answer(req, res, handlers).catch((cause: unknown) => refuse(req, res, cause));
    },
    unknown: (req, res, next) => {
      if (!isNavigation(req.headers, req.method)) return next();
      refuse(req, res, new TRPCError({ code: 'NOT_FOUND', message: messages.noSuchPath(req.path) }));
    },
  };
}

function send(res: Response, reply: Reply): void {
  if ('seeOther' in reply) {
    // The browser requests the next page with GET, also after a form (RFC 9110, 15.4.4).
    res.status(303).setHeader('Location', reply.seeOther);
    res.end();
    return;
  }
  const { page, status = 200, retryAfterSeconds, refresh = null } = reply;
  if (retryAfterSeconds !== undefined) res.setHeader('Retry-After', String(retryAfterSeconds));
  if (refresh !== null) res.setHeader('Refresh', refresh);
  res.setHeader('Content-Security-Policy', pageCsp(page));
  setPermissions(res);
  res.status(status).type('html').send(renderPage(page));
}

/** A field of the query string; null if it appears several times, because none of them can be preferred. */
function fieldOf(req: Request, name: string): string | null {
  const start = req.url.indexOf('?');
  const [value = null, ...others] = start < 0 ? [] : new URLSearchParams(req.url.slice(start)).getAll(name);
  return others.length > 0 ? null : value;
}

/** The browser's session. Null for callers without one, and for tokens. */
async function sessionOf(context: Context) {
  const principal = await context.authenticate();
  return principal?.kind === 'session' ? principal.session : null;
}

async function readFields<T>(fields: z.ZodType<T>, req: Request, res: Response): Promise<T> {
  const parsed = fields.safeParse(await readForm(req, res));
  if (!parsed.success) throw new TRPCError({ code: 'BAD_REQUEST', cause: parsed.error });
  return parsed.data;
}

/** Ending a session that has already ended is not an error. */
function ignoreGone(error: unknown): { revoked: number } {
  if (error instanceof TRPCError && error.code === 'NOT_FOUND') return { revoked: 1 };
  throw error;
}

/** How many sessions the form has ended that redirected here; null for links, which could say anything. */
function endedIn(req: Request): number | null {
  const { 'sec-fetch-site': site = 'same-origin' } = req.headers;
  const ended = fieldOf(req, 'ended') ?? '';
  return site === 'same-origin' && /^\d{1,4}$/.test(ended) ? Number(ended) : null;
}
