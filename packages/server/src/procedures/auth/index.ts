// Signing in and out, who is signed in, and the password.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { isoTime } from '../../clock.ts';
import { refusalFor } from '../../services/access/policy.ts';
import { hashForms, passwordWarnings } from '../../services/password/hashing.ts';
import type { Proof } from '../../services/sign-in/proofs.ts';
import { anyoneProcedure, operatorProcedure, router, sessionProcedure } from '../../trpc.ts';
import { callerFields, spanOf, toCaller } from './caller.ts';
import { events } from './events.ts';
import { busy, Password, refusePassword } from './password.ts';
import { sessions } from './sessions.ts';
import { tokens } from './tokens.ts';

const NoInput = z.strictObject({}).optional();

/** Of admin123, as the examples show it. */
const example = hashForms('$2b$12$tYAsGYctHOZaAP5g9oiySeKFTAZGkfQ8GVaPzIqWjSG/UOKGB52Jq');

export const auth = router({
  login: anyoneProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/login',
        tags: ['auth'],
        summary: 'Sign in with the master password',
        description:
          'Opens a session and puts it into an HttpOnly cookie. A session that the browser had before ends. ' +
          'With `remember` it ends only after SESSION_MAX_DAYS, without it SESSION_EXPIRE_MINUTES after its last use.',
        successDescription: 'Signed in; the answer sets the session cookie.',
      },
      cookie: 'sets',
      errors: ['UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'SERVICE_UNAVAILABLE'],
    })
    .input(
      z.strictObject({
        password: Password,
        remember: z
          .boolean()
          .optional()
          .meta({ description: 'Keep me signed in on this device.', examples: [false] }),
      }),
    )
    .output(
      z.strictObject({
        message: z.string().meta({ examples: ['Signed in.'] }),
        authenticated: z.literal(true),
        expiresAt: z.iso.datetime().meta({ description: 'When the session ends unless it is used.' }),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { password, remember = false } = input;
      const { services, caller } = ctx;
      const principal = await ctx.authenticate();
      const replaced = principal?.kind === 'session' ? principal.session : null;
      const proofs: Proof[] = [{ kind: 'password', password }];
      const device = await ctx.device();
      const signIn = await services.signIn.signIn({ proofs, remember, caller, device, replaced });
      if (signIn.outcome !== 'signed-in') return refusePassword(signIn, { wrong: 'UNAUTHORIZED' });
      const { absoluteEndAt, expiresAt } = signIn.seen.ends;
      ctx.setSessionCookies(signIn.cookies, absoluteEndAt);
      const known = await services.devices.sign(signIn.device);
      ctx.setDeviceCookie(known.cookie, known.expiresAt);
      return { message: 'Signed in.', authenticated: true as const, expiresAt: isoTime(expiresAt) };
    }),

  logout: anyoneProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/logout',
        tags: ['auth'],
        summary: 'Sign out',
        description:
          'Ends the session for good, on every instance within one second, and clears its cookie, the cookie also when ' +
          'the answer is 500 or 503. Needs no body, and no session either.',
        successDescription: 'Signed out; the answer clears the session cookie.',
      },
      cookie: 'clears',
    })
    .input(NoInput)
    .output(
      z.strictObject({ message: z.string().meta({ examples: ['Signed out.'] }), authenticated: z.literal(false) }),
    )
    .mutation(async ({ ctx }) => {
      // First, so that the browser forgets the session even when the database fails.
      ctx.clearSessionCookies();
      const principal = await ctx.authenticate();
      if (principal?.kind === 'session') await ctx.services.sessions.signOut(principal.session, ctx.caller);
      return { message: 'Signed out.', authenticated: false as const };
    }),

  me: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/auth/me',
        tags: ['auth'],
        summary: 'Who is calling',
        description: 'The session or the token that this request was made with.',
        successDescription: 'The caller.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        authenticated: z.literal(true),
        ...callerFields,
      }),
    )
    .query(({ ctx }) => ({ authenticated: true as const, ...toCaller(ctx.principal, ctx.services) })),

  status: anyoneProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/auth/status',
        tags: ['auth'],
        summary: 'Whether the caller is signed in',
        description: 'For polling: asking does not count as use, so it does not keep a session alive.',
        successDescription: 'Signed in or not; never an error for strangers.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        authenticated: z.boolean().meta({ examples: [true] }),
        expiresAt: z.iso.datetime().nullable().meta({
          description: 'When the session ends unless it is used, or the token ends; null for one that never does.',
        }),
      }),
    )
    .query(async ({ ctx }) => {
      const principal = await ctx.authenticate();
      // For a token that opens nothing here, the answer is the same as for a stranger.
      if (!principal || refusalFor(principal, { access: 'operator', type: 'query' }))
        return { authenticated: false, expiresAt: null };
      const { until } = spanOf(principal, ctx.services);
      return { authenticated: true, expiresAt: until === null ? null : isoTime(until) };
    }),

  hashPassword: operatorProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/hash-password',
        tags: ['auth'],
        summary: 'Hash a password',
        description: 'The bcrypt hash of any password, in the forms that MASTER_PASSWORD_HASH takes. Nothing is kept.',
        successDescription:
          'The hash, its base64 form without `$`, the whole `.env` line, and what is unwise about it.',
      },
      errors: ['SERVICE_UNAVAILABLE'],
    })
    .input(z.strictObject({ password: Password }))
    .output(
      z.strictObject({
        hash: z.string().meta({ description: 'The bcrypt hash.', examples: [example.hash] }),
        base64: z.string().meta({ description: 'The hash in base64.', examples: [example.base64] }),
        env: z.string().meta({ description: 'The whole `.env` line, quoted.', examples: [example.env] }),
        warnings: z.array(z.string()).meta({ examples: [passwordWarnings('admin123')] }),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const hash = await ctx.services.password.hash(input.password);
      if (hash === null) throw busy(2);
      return { ...hashForms(hash), warnings: passwordWarnings(input.password) };
    }),

  stepUp: sessionProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/step-up',
        tags: ['auth'],
        summary: 'Show the password again',
        description:
          'The session then counts as freshly signed in for STEP_UP_MINUTES: what is marked fresh asks for it.',
        successDescription: 'The session is fresh.',
      },
      errors: ['FORBIDDEN', 'TOO_MANY_REQUESTS', 'SERVICE_UNAVAILABLE'],
    })
    .input(z.strictObject({ password: Password }))
    .output(z.strictObject({ message: z.string().meta({ examples: ['Stepped up.'] }) }))
    .mutation(async ({ ctx, input: { password } }) => {
      const { services, caller, principal } = ctx;
      const device = await ctx.device();
      const proofs: Proof[] = [{ kind: 'password', password }];
      const stepUp = await services.signIn.stepUp({ proofs, session: principal.session, caller, device });
      if (stepUp.outcome !== 'stepped-up') return refusePassword(stepUp, { wrong: 'FORBIDDEN' });
      return { message: 'Stepped up.' };
    }),

  changePassword: sessionProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/password',
        tags: ['auth'],
        summary: 'Change the master password',
        description:
          "Ends every session but the caller's own. API tokens live on unless `revokeTokens` is true. " +
          'Where the environment sets the password, nothing is changed and the answer has the line to put there.',
        successDescription: 'The new password counts.',
      },
      errors: ['FORBIDDEN', 'CONFLICT', 'TOO_MANY_REQUESTS', 'SERVICE_UNAVAILABLE'],
    })
    .input(
      z.strictObject({
        current: Password,
        new: Password.meta({ examples: ['correct horse battery staple'] }),
        revokeTokens: z
          .boolean()
          .optional()
          .meta({ description: 'Whether API tokens end, too.', examples: [false] }),
      }),
    )
    .output(
      z.strictObject({
        message: z.string().meta({ examples: ['The password is changed.'] }),
        sessionsEnded: z
          .int()
          .nonnegative()
          .meta({ examples: [2] }),
        tokensRevoked: z
          .int()
          .nonnegative()
          .meta({ examples: [0] }),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { current, new: next, revokeTokens = false } = input;
      const { services, caller, principal } = ctx;
      const { session } = principal;
      const device = await ctx.device();
      const proofs: Proof[] = [{ kind: 'password', password: current }];
      const change = await services.passwordChange.change({ proofs, next, revokeTokens, session, caller, device });
      if (change.outcome === 'set-by-environment') {
        const message = `The environment sets the password; put this line there and start the server again: ${change.env}`;
        throw new TRPCError({ code: 'CONFLICT', message });
      }
      if (change.outcome !== 'changed') return refusePassword(change, { wrong: 'FORBIDDEN' });
      const { sessionsEnded, tokensRevoked } = change;
      return { message: 'The password is changed.', sessionsEnded, tokensRevoked };
    }),

  sessions,
  tokens,
  events,
});
