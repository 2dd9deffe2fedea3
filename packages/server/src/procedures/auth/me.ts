// Who is calling: `me` requires a credential, `status` does not.
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
      summary: 'Get the caller',
      description: 'Returns the session or token of this request.',
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
      summary: 'Check whether the caller is signed in',
      description: 'Safe for polling: this request does not count as a use, so it does not keep a session alive.',
      successDescription: 'Whether the caller is signed in. Callers without a credential get no error.',
    },
  })
  .input(NoInput)
  .output(
    z.strictObject({
      authenticated: z.boolean().meta({ examples: [true] }),
      expiresAt: z.iso.datetime().nullable().meta({
        description: 'When the session expires unless it is used, or when the token expires; null: never.',
      }),
    }),
  )
  .query(async ({ ctx }) => {
    const principal = await ctx.authenticate();
    // A token that allows nothing in this API gets the same response as a caller without a credential.
    if (!principal || refusalFor(principal, { access: 'operator', type: 'query' }))
      return { authenticated: false, expiresAt: null };
    const { until } = spanOf(principal, ctx.services);
    return { authenticated: true, expiresAt: until === null ? null : isoTime(until) };
  });
