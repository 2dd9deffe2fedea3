// The one place that calls initTRPC: what a procedure is given, who may call it, and how a throw becomes an answer.
import { initTRPC, TRPCError } from '@trpc/server';
import { describeError, type ErrorCode } from './errors.ts';
import type { Client } from './services/client.ts';
import type { Principal } from './services/gate.ts';
import type { Services } from './services/services.ts';

/** What a procedure knows of its caller, whichever transport it came by. */
export interface Context {
  readonly services: Services;
  readonly client: Client;
  /** The caller, found out once per request; null for a stranger. */
  authenticate(): Promise<Principal | null>;
  /** Counts this request as use of the caller's session, once however many procedures it calls. */
  recordUse(principal: Principal): void;
  /** Puts the session cookie on the answer. `expiresAt` is in milliseconds since 1970. */
  setSessionCookie(token: string, expiresAt: number): void;
  /** Takes the session cookie from the browser. */
  clearSessionCookie(): void;
}

/** Who may call a procedure: anyone, or who is signed in. */
export type Access = 'anyone' | 'operator';

/** What a procedure says of itself beside its input and output; the REST face and the document are made from it. */
export interface Meta {
  openapi: {
    method: 'GET' | 'POST' | 'DELETE';
    path: `/${string}`;
    tags: string[];
    summary: string;
    description: string;
    successDescription: string;
  };
  access: Access;
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

/** For everyone, signed in or not. */
export const anyoneProcedure = t.procedure;

/** For the operator: refuses strangers, counts the use, and hands on who is calling. */
export const operatorProcedure = t.procedure.use(async ({ ctx, next }) => {
  const principal = await ctx.authenticate();
  if (!principal) throw new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first.' });
  ctx.recordUse(principal);
  return next({ ctx: { principal } });
});
