// API tokens: made, seen and ended.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { messages } from '../../messages.ts';
import { tokenScopes } from '../../services/access/policy.ts';
import { NewToken } from '../../services/new-token.ts';
import { TOKEN_PREFIX } from '../../services/tokens.ts';
import { toToken } from '../../services/views.ts';
import { freshProcedure, operatorProcedure, router, sessionProcedure } from '../../trpc.ts';
import { Id, idInPath, isId, NoInput } from '../inputs.ts';
import { signedOut } from './password.ts';

export const Token = z
  .strictObject({
    id: Id.meta({ description: 'Public; names the token, opens nothing.' }),
    name: z.string().meta({ description: 'What the operator calls it.' }),
    scope: z.enum(tokenScopes).meta({ description: 'What it opens.' }),
    hosts: z.array(z.string()).meta({ description: 'Of a `proxy` token: the only hosts that it opens; none: all.' }),
    prefix: z.string().meta({ description: 'How the secret begins.' }),
    createdAt: z.iso.datetime().meta({ description: 'When it was made.' }),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: 'When it was last used.' }),
    lastUsedIp: z.string().nullable().meta({ description: 'The address that it was last used from.' }),
    expiresAt: z.iso.datetime().nullable().meta({ description: 'When it ends; null: never.' }),
  })
  .meta({
    id: 'Token',
    description: 'An API token, without its secret.',
    examples: [
      {
        id: '5b7d9f1a3c5e7a9b1d3f5a70',
        name: 'backup script',
        scope: 'read',
        hosts: [],
        prefix: 'bct_x7Kq2P',
        createdAt: '2026-03-14T08:00:00.000Z',
        lastUsedAt: null,
        lastUsedIp: null,
        expiresAt: '2026-06-12T08:00:00.000Z',
      },
    ],
  });
export type Token = z.infer<typeof Token>;

export const tokens = router({
  list: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/auth/tokens',
        tags: ['auth'],
        summary: 'List the live API tokens',
        description: 'Those that are neither revoked nor expired, the newest first. No secret is ever shown again.',
        successDescription: 'The tokens.',
      },
    })
    .input(NoInput)
    .output(z.strictObject({ tokens: z.array(Token) }))
    .query(async ({ ctx }) => ({ tokens: (await ctx.services.tokens.list()).map(toToken) })),

  create: freshProcedure
    .meta({
      openapi: {
        method: 'POST',
        path: '/auth/tokens',
        tags: ['auth'],
        summary: 'Make an API token',
        description:
          'For programs: `Authorization: Bearer bct_…`. `read` answers queries of this API, `full` does all that a ' +
          'token may do here, `proxy` opens applications behind forward-auth and nothing here, at `hosts` only where ' +
          'some are given. No token makes or revokes tokens, changes the password or steps up.',
        successDescription: 'The token and its secret, which is shown this once.',
      },
    })
    .input(NewToken)
    .output(
      z.strictObject({
        token: Token,
        secret: z.string().meta({
          description: 'Shown this once.',
          examples: [`${TOKEN_PREFIX}x7Kq2PzT0bW4nVd8sLr1mYc6gHf3jAe9uQi5oXk`],
        }),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { name, scope, hosts = [], expiresInDays = null } = input;
      const { services, caller, principal } = ctx;
      const sessionId = principal.session.id;
      const made = await services.tokens.create({ name, scope, hosts, expiresInDays, caller, sessionId });
      if (!made) throw signedOut();
      return { token: toToken(made.token), secret: made.secret };
    }),

  revoke: sessionProcedure
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/auth/tokens/{id}',
        tags: ['auth'],
        summary: 'End an API token',
        description: 'Ends it for good, on every instance within one second.',
        successDescription: 'The token has ended.',
      },
      errors: ['NOT_FOUND'],
    })
    .input(idInPath({ of: 'token', example: '5b7d9f1a3c5e7a9b1d3f5a70' }))
    .output(z.strictObject({ revoked: z.literal(1) }))
    .mutation(async ({ ctx, input: { id } }) => {
      const isEnded = isId(id) && (await ctx.services.tokens.revoke(id, ctx.caller));
      if (!isEnded) {
        throw new TRPCError({ code: 'NOT_FOUND', message: messages.noSuchToken });
      }
      return { revoked: 1 as const };
    }),
});
