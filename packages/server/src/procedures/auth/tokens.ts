// API tokens: creating, listing and revoking them.
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
    id: Id.meta({ description: 'Identifies the token. It is public and grants no access.' }),
    name: z.string().meta({ description: 'A name of your choice.' }),
    scope: z.enum(tokenScopes).meta({ description: 'What the token allows.' }),
    hosts: z.array(z.string()).meta({ description: 'The hosts that a `proxy` token is limited to; empty: no limit.' }),
    prefix: z.string().meta({ description: 'The first characters of the secret.' }),
    createdAt: z.iso.datetime().meta({ description: 'When it was created.' }),
    lastUsedAt: z.iso.datetime().nullable().meta({ description: 'When it was last used.' }),
    lastUsedIp: z.string().nullable().meta({ description: 'The IP address of its last use.' }),
    expiresAt: z.iso.datetime().nullable().meta({ description: 'When it expires; null: never.' }),
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
        description: 'Lists the tokens that are neither revoked nor expired, newest first. Secrets are not included.',
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
        summary: 'Create an API token',
        description:
          'Programs send it as `Authorization: Bearer bct_…`. Scope `read` allows the queries of this API. `full` also ' +
          'allows the writes that are open to tokens. `proxy` allows applications behind forward-auth, limited to ' +
          '`hosts` if you give any, and nothing in this API. Tokens cannot create or revoke tokens, change the ' +
          'password or step up.',
        successDescription: 'The token and its secret, which is only shown now.',
      },
    })
    .input(NewToken)
    .output(
      z.strictObject({
        token: Token,
        secret: z.string().meta({
          description: 'Only shown now.',
          examples: [`${TOKEN_PREFIX}x7Kq2PzT0bW4nVd8sLr1mYc6gHf3jAe9uQi5oXk`],
        }),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { name, scope, hosts = [], expiresInDays = null } = input;
      const { services, caller, principal } = ctx;
      const { session } = principal;
      const made = await services.tokens.create({ name, scope, hosts, expiresInDays, caller, session });
      if (!made) throw signedOut();
      return { token: toToken(made.token), secret: made.secret };
    }),

  revoke: sessionProcedure
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/auth/tokens/{id}',
        tags: ['auth'],
        summary: 'Revoke an API token',
        description: 'Revokes the token permanently, on every instance within one second.',
        successDescription: 'The token is revoked.',
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
