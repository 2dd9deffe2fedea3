// Signing in and out, and who is signed in.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { isoTime } from '../../clock.ts';
import { RetryLaterError } from '../../errors.ts';
import { hashForms, passwordProblem, passwordWarnings } from '../../services/hashing.ts';
import { anyoneProcedure, operatorProcedure, router } from '../../trpc.ts';
import { Session, toSession } from './sessions.ts';
import { Token } from './tokens.ts';

const NoInput = z.strictObject({}).optional();

const Password = z
  .string()
  .superRefine((password, context) => {
    const problem = passwordProblem(password);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  })
  .meta({ description: 'At most 72 bytes in UTF-8, without NUL.', example: 'admin123', minLength: 1, maxLength: 72 });

const busy = (seconds: number) =>
  new RetryLaterError({
    code: 'SERVICE_UNAVAILABLE',
    message: 'Too many passwords are being checked at once; try again shortly.',
    seconds,
  });

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
      access: 'anyone',
      errors: ['UNAUTHORIZED', 'SERVICE_UNAVAILABLE'],
    })
    .input(
      z.strictObject({
        password: Password,
        remember: z.boolean().optional().meta({ description: 'Keep me signed in on this device.', example: false }),
      }),
    )
    .output(
      z.strictObject({
        message: z.string().meta({ example: 'Signed in.' }),
        authenticated: z.literal(true),
        expiresAt: z.iso.datetime().meta({ description: 'When the session ends unless it is used.' }),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { password, remember = false } = input;
      const { services, client, authenticate: previous } = ctx;
      const signIn = await services.sessions.signIn({ password, remember, client, previous });
      if (signIn.outcome === 'busy') throw busy(signIn.retryAfterSeconds);
      if (signIn.outcome === 'wrong') throw new TRPCError({ code: 'UNAUTHORIZED', message: 'Wrong password.' });
      ctx.setSessionCookie(signIn.token, signIn.ends.absoluteEndAt);
      return { message: 'Signed in.', authenticated: true as const, expiresAt: isoTime(signIn.ends.expiresAt) };
    }),

  logout: anyoneProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/logout',
        tags: ['auth'],
        summary: 'Sign out',
        description:
          'Ends the session for good, on every instance within one second, and clears its cookie. ' +
          'Needs no body, and no session either.',
        successDescription: 'Signed out; the answer clears the session cookie.',
      },
      access: 'anyone',
    })
    .input(NoInput)
    .output(z.strictObject({ message: z.string().meta({ example: 'Signed out.' }), authenticated: z.literal(false) }))
    .mutation(async ({ ctx }) => {
      // First, so that the browser forgets the session even when the database fails.
      ctx.clearSessionCookie();
      const principal = await ctx.authenticate();
      if (principal) await ctx.services.sessions.signOut(principal.session, ctx.client);
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
      access: 'operator',
    })
    .input(NoInput)
    .output(
      z.strictObject({
        authenticated: z.literal(true),
        method: z.enum(['session', 'token']),
        session: Session.nullable(),
        token: Token.nullable(),
      }),
    )
    .query(({ ctx }) => {
      const used = ctx.services.sessions.asUsed(ctx.principal.session);
      return {
        authenticated: true as const,
        method: 'session' as const,
        session: toSession(used, { current: true }),
        token: null,
      };
    }),

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
      access: 'anyone',
    })
    .input(NoInput)
    .output(z.strictObject({ authenticated: z.boolean(), expiresAt: z.iso.datetime().nullable() }))
    .query(async ({ ctx }) => {
      const principal = await ctx.authenticate();
      if (!principal) return { authenticated: false, expiresAt: null };
      const { ends } = ctx.services.sessions.asUsed(principal.session);
      return { authenticated: true, expiresAt: isoTime(ends.expiresAt) };
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
      access: 'operator',
      errors: ['SERVICE_UNAVAILABLE'],
    })
    .input(z.strictObject({ password: Password }))
    .output(
      z.strictObject({
        hash: z.string().meta({ example: '$2b$12$KIXQ…' }),
        base64: z.string(),
        env: z.string().meta({ description: 'The whole `.env` line, quoted.' }),
        warnings: z.array(z.string()),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const hash = await ctx.services.password.hash(input.password);
      if (hash === null) throw busy(2);
      return { ...hashForms(hash), warnings: passwordWarnings(input.password) };
    }),
});
