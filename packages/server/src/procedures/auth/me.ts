// Who is calling: for those who must be signed in, and for those who may not be.
import { z } from 'zod';
import { isoTime } from '../../clock.ts';
import { refusalFor } from '../../services/access/policy.ts';
import { anyoneProcedure, operatorProcedure } from '../../trpc.ts';
import { NoInput } from '../inputs.ts';
import { callerFields, spanOf, toCaller } from './caller.ts';

export const me = operatorProcedure
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
  .query(({ ctx }) => ({ authenticated: true as const, ...toCaller(ctx.principal, ctx.services) }));

export const status = anyoneProcedure
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
  });
