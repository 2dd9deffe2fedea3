// Signing in, stepping up and signing out.
import { z } from 'zod';
import { isoTime } from '../../clock.ts';
import type { Proof } from '../../services/sign-in/proofs.ts';
import { anyoneProcedure, sessionProcedure } from '../../trpc.ts';
import { NoInput } from '../inputs.ts';
import { Password, refuseProofs } from './password.ts';

export const login = anyoneProcedure
  .meta({
    openapi: {
      method: 'POST',
      path: '/auth/login',
      tags: ['auth'],
      summary: 'Sign in with the master password',
      description:
        "Creates a session and sets it in an HttpOnly cookie. The browser's previous session ends. With `remember`, the " +
        'session ends after SESSION_MAX_DAYS. Without it, it ends SESSION_EXPIRE_MINUTES after its last use.',
      successDescription: 'Signed in. The response sets the session cookie.',
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
        .meta({ description: 'Whether to keep the browser signed in.', examples: [false] }),
    }),
  )
  .output(
    z.strictObject({
      message: z.string().meta({ examples: ['Signed in.'] }),
      authenticated: z.literal(true),
      expiresAt: z.iso.datetime().meta({ description: 'When the session expires unless it is used.' }),
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
    if (signIn.outcome !== 'signed-in') return refuseProofs(signIn, { wrong: 'UNAUTHORIZED' });
    const { expiresAt } = signIn.seen.ends;
    ctx.setSessionCookies(signIn.cookies, signIn.absoluteEndAt);
    const known = await services.devices.sign(signIn.device);
    ctx.setDeviceCookie(known.cookie, known.expiresAt);
    return { message: 'Signed in.', authenticated: true as const, expiresAt: isoTime(expiresAt) };
  });

export const stepUp = sessionProcedure
  .meta({
    openapi: {
      method: 'POST',
      path: '/auth/step-up',
      tags: ['auth'],
      summary: 'Re-enter the password',
      description:
        'Makes the session recently authenticated for STEP_UP_MINUTES, which operations such as creating a token require. ' +
        'The session gets a new secret: the response sets its cookies again, and copies of the old ones end.',
      successDescription: 'The session is recently authenticated. The response sets its cookie again.',
    },
    cookie: 'renews',
    errors: ['FORBIDDEN', 'TOO_MANY_REQUESTS', 'SERVICE_UNAVAILABLE'],
  })
  .input(z.strictObject({ password: Password }))
  .output(z.strictObject({ message: z.string().meta({ examples: ['Stepped up.'] }) }))
  .mutation(async ({ ctx, input: { password } }) => {
    const { services, caller, principal } = ctx;
    const device = await ctx.device();
    const proofs: Proof[] = [{ kind: 'password', password }];
    const stepUp = await services.signIn.stepUp({ proofs, session: principal.session, caller, device });
    if (stepUp.outcome !== 'stepped-up') return refuseProofs(stepUp, { wrong: 'FORBIDDEN' });
    ctx.setSessionCookies(stepUp.cookies, stepUp.absoluteEndAt);
    return { message: 'Stepped up.' };
  });

export const logout = anyoneProcedure
  .meta({
    openapi: {
      method: 'POST',
      path: '/auth/logout',
      tags: ['auth'],
      summary: 'Sign out',
      description:
        'Ends the session permanently, on every instance within one second, and clears its cookie. A 500 or 503 also ' +
        'clears the cookie. Requires neither a body nor a session.',
      successDescription: 'Signed out. The response clears the session cookie.',
    },
    cookie: 'clears',
  })
  .input(NoInput)
  .output(z.strictObject({ message: z.string().meta({ examples: ['Signed out.'] }), authenticated: z.literal(false) }))
  .mutation(async ({ ctx }) => {
    // First, so that the browser forgets the session even if the database fails.
    ctx.clearSessionCookies();
    const principal = await ctx.authenticate();
    if (principal?.kind === 'session') await ctx.services.sessions.signOut(principal.session, ctx.caller);
    return { message: 'Signed out.', authenticated: false as const };
  });
