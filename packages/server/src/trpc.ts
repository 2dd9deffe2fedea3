// The only place that calls initTRPC. It defines the procedures' context, who may call them, and the shape of errors.
import { initTRPC, TRPCError } from '@trpc/server';
import { describeError, type ErrorCode, StepUpRequiredError } from './errors.ts';
import { messages } from './messages.ts';
import { type Access, type OperationType, refusalFor } from './services/access/policy.ts';
import type { Principal } from './services/access/principal.ts';
import type { Caller } from './services/caller.ts';
import type { Device } from './services/devices.ts';
import type { Services } from './services/services.ts';
import type { SessionCookies, SessionEnd } from './services/sessions/sessions.ts';
import type { SessionRow } from './store/entities.ts';

/** What a procedure knows about its caller. It is the same for every transport. */
export interface Context {
  readonly services: Services;
  readonly caller: Caller;
  /** The caller, authenticated once per request; null without a valid credential. */
  authenticate(): Promise<Principal | null>;
  /** Whether the request presents an API token, valid or not. If so, the token alone decides who is calling. */
  readonly presentsToken: boolean;
  /** The calling browser if it has signed in before, else null. */
  device(): Promise<Device | null>;
  /** Counts this request as a use of the caller's session or token. A batch counts once. */
  recordUse(principal: Principal): void;
  /** Sets the session cookie and, with COOKIE_DOMAIN, the pass. `expiresAt` is in milliseconds since 1970. */
  setSessionCookies(values: SessionCookies, expiresAt: number): void;
  /**
   * Sends the session's pass again if COOKIE_DOMAIN is set, because the setting may be newer than the session. Returns
   * whether the browser presented a pass.
   */
  renewPass(session: SessionRow): Promise<{ hadPass: boolean }>;
  /** What became of the session of the browser's cookie, which opens none; null if there is no cookie. */
  endOfSession(): Promise<SessionEnd | null>;
  /** Removes the session's cookies from the browser. */
  clearSessionCookies(): void;
  /** Sets the cookie that identifies this browser from now on. */
  setDeviceCookie(value: string, expiresAt: number): void;
}

/** A procedure's description beyond its input and output. The REST face and the OpenAPI document are built from it. */
export interface Meta {
  /** Set by the procedure builder, so it always matches the access that is enforced. */
  access?: Access;
  openapi?: {
    method: 'GET' | 'POST' | 'DELETE';
    path: `/${string}`;
    tags: string[];
    summary: string;
    description: string;
    successDescription: string;
  };
  /** The effect on the session cookie. */
  cookie?: 'sets' | 'renews' | 'clears';
  /** Error codes beyond those that the access and the input imply. */
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

/** Calls procedures from within the server, as the pages do. */
export const createCallerFactory = t.createCallerFactory;

/** For everyone, signed in or not. */
export const anyoneProcedure = t.procedure.meta({ access: 'anyone' });

const notSignedIn = ({ presentsToken }: Context) =>
  new TRPCError({
    code: 'UNAUTHORIZED',
    message: presentsToken ? messages.invalidToken : messages.signInFirst,
  });

/** Returns the caller if the policy allows the operation, and counts the use. */
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

/** For the operator, with a session or with a token whose scope allows it. */
export const operatorProcedure = t.procedure.meta({ access: 'operator' }).use(async ({ ctx, type, next }) => {
  const principal = await admit(ctx, { access: 'operator', type: type === 'query' ? 'query' : 'mutation' });
  return next({ ctx: { principal } });
});

/** For a session. Tokens are refused, whatever their scope. */
export const sessionProcedure = t.procedure.meta({ access: 'session' }).use(async ({ ctx, next }) => {
  const principal = await admit(ctx, { access: 'session', type: 'mutation' });
  if (principal.kind !== 'session') throw notSignedIn(ctx);
  return next({ ctx: { principal } });
});

/** For a recently authenticated session: one whose password was entered within STEP_UP_MINUTES. */
export const freshProcedure = sessionProcedure.meta({ access: 'fresh' }).use(async ({ ctx, next }) => {
  const freshness = await ctx.services.sessions.freshness(ctx.principal.session);
  if (freshness === 'signed-out') throw notSignedIn(ctx);
  if (freshness === 'stale') throw new StepUpRequiredError();
  return next();
});
