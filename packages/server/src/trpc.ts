// The one place that calls initTRPC: what a procedure is given, who may call it, and how a throw becomes an answer.
import { initTRPC, TRPCError } from '@trpc/server';
import { describeError, type ErrorCode, StepUpRequiredError } from './errors.ts';
import type { Principal } from './services/access/gate.ts';
import type { Client } from './services/caller.ts';
import type { Device } from './services/devices.ts';
import type { Services } from './services/services.ts';
import type { SessionTokens } from './services/sessions/sessions.ts';
import type { SessionRow } from './store/entities.ts';

/** What a procedure knows of its caller, whichever transport it came by. */
export interface Context {
  readonly services: Services;
  readonly client: Client;
  /** The caller, found out once per request; null for a stranger. */
  authenticate(): Promise<Principal | null>;
  /** Whether a token was shown, alive or not: it decides alone who that is. */
  readonly showsToken: boolean;
  /** The browser that calls, where it has signed in before; null otherwise. */
  device(): Promise<Device | null>;
  /** Counts this request as use of the caller's session or token, once however many procedures it calls. */
  recordUse(principal: Principal): void;
  /** Puts the session's cookies on the answer: its own, and with COOKIE_DOMAIN the pass. `expiresAt` is in milliseconds since 1970. */
  setSessionCookies(tokens: SessionTokens, expiresAt: number): void;
  /**
   * Puts the pass of a session on the answer anew, where COOKIE_DOMAIN is set: it may be younger than the session. Says
   * whether the browser showed one.
   */
  renewPass(session: SessionRow): Promise<{ hadPass: boolean }>;
  /** Takes the session's cookies from the browser. */
  clearSessionCookies(): void;
  /** Puts the cookie on the answer by which the browser will be known. */
  setDeviceCookie(token: string, expiresAt: number): void;
}

/**
 * Who may call a procedure: anyone; the operator, by a session or by a token whose scope covers it; a session only; or
 * a session whose password was shown within STEP_UP_MINUTES.
 */
export type Access = 'anyone' | 'operator' | 'session' | 'fresh';

/** What a procedure says of itself beside its input and output; the REST face and the document are made from it. */
export interface Meta {
  /** Said by the builder that a procedure is made with, so that it cannot differ from what is enforced. */
  access?: Access;
  openapi?: {
    method: 'GET' | 'POST' | 'DELETE';
    path: `/${string}`;
    tags: string[];
    summary: string;
    description: string;
    successDescription: string;
  };
  /** What it does to the session cookie. */
  cookie?: 'sets' | 'clears';
  /** Error codes it can give beyond those that its access and its input imply. */
  errors?: readonly ErrorCode[];
}

const t = initTRPC
  .context<Context>()
  .meta<Meta>()
  .create({
    isDev: false,
    errorFormatter: ({ shape, error }) => {
      const { message, code, status, issues, retryAfterSeconds } = describeError(error);
      return {
        message,
        code: shape.code,
        data: {
          code,
          httpStatus: status,
          ...(issues ? { issues } : {}),
          ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
        },
      };
    },
  });

export const router = t.router;

/** For calling procedures from within the server, as the pages do. */
export const createCallerFactory = t.createCallerFactory;

/** For everyone, signed in or not. */
export const anyoneProcedure = t.procedure.meta({ access: 'anyone' });

const notSignedIn = ({ showsToken }: Context) =>
  new TRPCError({
    code: 'UNAUTHORIZED',
    message: showsToken
      ? 'The token is not one of this server, or it has been revoked or has expired.'
      : 'Sign in first.',
  });

/** For the operator, by session or token: refuses strangers and tokens of too small a scope, and counts the use. */
export const operatorProcedure = t.procedure.meta({ access: 'operator' }).use(async ({ ctx, type, next }) => {
  const principal = await ctx.authenticate();
  if (!principal) throw notSignedIn(ctx);
  const scope = principal.kind === 'token' ? principal.token.scope : 'full';
  if (scope === 'proxy' || (scope === 'read' && type !== 'query')) {
    throw new TRPCError({ code: 'FORBIDDEN', message: `This token's scope is ${scope}; it may not do this.` });
  }
  ctx.recordUse(principal);
  return next({ ctx: { principal } });
});

/** For a signed-in browser: no token may do this, whatever its scope. */
export const sessionProcedure = t.procedure.meta({ access: 'session' }).use(async ({ ctx, next }) => {
  const principal = await ctx.authenticate();
  if (!principal) throw notSignedIn(ctx);
  if (principal.kind === 'token') {
    throw new TRPCError({ code: 'FORBIDDEN', message: 'No token may do this; sign in with the password.' });
  }
  ctx.recordUse(principal);
  return next({ ctx: { principal } });
});

/** For a browser that has shown the password within STEP_UP_MINUTES. */
export const freshProcedure = sessionProcedure.meta({ access: 'fresh' }).use(async ({ ctx, next }) => {
  if (!(await ctx.services.sessions.isFresh(ctx.principal.session))) throw new StepUpRequiredError();
  return next();
});
