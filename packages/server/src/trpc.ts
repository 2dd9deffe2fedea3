// The one place that calls initTRPC: what a procedure is given, who may call it, and how a throw becomes an answer.
import { initTRPC, TRPCError } from '@trpc/server';
import { describeError, type ErrorCode, StepUpRequiredError } from './errors.ts';
import { messages } from './messages.ts';
import { type Access, type OperationType, refusalFor } from './services/access/policy.ts';
import type { Principal } from './services/access/principal.ts';
import type { Caller } from './services/caller.ts';
import type { Device } from './services/devices.ts';
import type { Services } from './services/services.ts';
import type { SessionCookies } from './services/sessions/sessions.ts';
import type { SessionRow } from './store/entities.ts';

/** What a procedure knows of its caller, whichever transport it came by. */
export interface Context {
  readonly services: Services;
  readonly caller: Caller;
  /** The caller, found out once per request; null for a stranger. */
  authenticate(): Promise<Principal | null>;
  /** Whether the request presents an API token, valid or not. If so, the token alone decides who is calling. */
  readonly presentsToken: boolean;
  /** The browser that calls, where it has signed in before; null otherwise. */
  device(): Promise<Device | null>;
  /** Counts this request as use of the caller's session or token, once however many procedures it calls. */
  recordUse(principal: Principal): void;
  /** Sets the session's cookies: its own, and with COOKIE_DOMAIN the pass. `expiresAt` is in milliseconds since 1970. */
  setSessionCookies(values: SessionCookies, expiresAt: number): void;
  /**
   * Puts the pass of a session on the answer anew, where COOKIE_DOMAIN is set: it may be younger than the session. Says
   * whether the browser showed one.
   */
  renewPass(session: SessionRow): Promise<{ hadPass: boolean }>;
  /** Takes the session's cookies from the browser. */
  clearSessionCookies(): void;
  /** Puts the cookie on the answer by which the browser will be known. */
  setDeviceCookie(value: string, expiresAt: number): void;
}

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

const notSignedIn = ({ presentsToken }: Context) =>
  new TRPCError({
    code: 'UNAUTHORIZED',
    message: presentsToken ? messages.invalidToken : messages.signInFirst,
  });

/** The caller, if the policy lets it call this, with its use counted. */
async function admit(ctx: Context, operation: { access: Access; type: OperationType }): Promise<Principal> {
  const principal = await ctx.authenticate();
  if (!principal) throw notSignedIn(ctx);
  const refusal = refusalFor(principal, operation);
  if (refusal === 'no-tokens') {
    throw new TRPCError({ code: 'FORBIDDEN', message: messages.noTokens });
  }
  if (refusal === 'scope' && principal.kind === 'token') {
    throw new TRPCError({ code: 'FORBIDDEN', message: messages.scopeTooSmall(principal.token.scope) });
  }
  ctx.recordUse(principal);
  return principal;
}

/** For the operator, by a session or by a token whose scope allows it. */
export const operatorProcedure = t.procedure.meta({ access: 'operator' }).use(async ({ ctx, type, next }) => {
  const principal = await admit(ctx, { access: 'operator', type: type === 'query' ? 'query' : 'mutation' });
  return next({ ctx: { principal } });
});

/** For a session. No token may call it, whatever its scope. */
export const sessionProcedure = t.procedure.meta({ access: 'session' }).use(async ({ ctx, next }) => {
  const principal = await admit(ctx, { access: 'session', type: 'mutation' });
  if (principal.kind !== 'session') throw notSignedIn(ctx);
  return next({ ctx: { principal } });
});

/** For a browser that has shown the password within STEP_UP_MINUTES. */
export const freshProcedure = sessionProcedure.meta({ access: 'fresh' }).use(async ({ ctx, next }) => {
  if (!(await ctx.services.sessions.isFresh(ctx.principal.session))) throw new StepUpRequiredError();
  return next();
});
