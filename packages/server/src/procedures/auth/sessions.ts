// Sessions: listing and ending them.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { messages } from '../../messages.ts';
import { toSession } from '../../services/views.ts';
import { operatorProcedure, router } from '../../trpc.ts';
import { Id, idInPath, isId, NoInput } from '../inputs.ts';

export const Session = z
  .strictObject({
    id: Id.meta({ description: 'Identifies the session. It is public and grants no access.' }),
    current: z.boolean().meta({ description: "Whether it is the caller's session." }),
    remembered: z.boolean().meta({ description: 'Whether it was created with `remember`.' }),
    createdAt: z.iso.datetime().meta({ description: 'When it was created.' }),
    lastSeenAt: z.iso.datetime().meta({ description: 'When it was last used.' }),
    expiresAt: z.iso
      .datetime()
      .meta({ description: 'When it expires: the earlier of its idle end and its absolute end.' }),
    ip: z.string().nullable().meta({ description: 'The IP address at sign-in.' }),
    userAgent: z.string().nullable().meta({ description: 'The User-Agent at sign-in.' }),
    device: z.string().nullable().meta({ description: 'The browser and operating system, from the User-Agent.' }),
  })
  .meta({
    id: 'Session',
    description: 'A session: one browser or program that is signed in.',
    examples: [
      {
        id: '8f1d3a5c7b9e0f2a4c6d8e01',
        current: true,
        remembered: false,
        createdAt: '2026-03-14T08:00:00.000Z',
        lastSeenAt: '2026-03-14T09:26:53.000Z',
        expiresAt: '2026-03-14T10:26:53.000Z',
        ip: '192.0.2.7',
        userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
        device: 'Firefox on Linux',
      },
    ],
  });
export type Session = z.infer<typeof Session>;

const revoked = z
  .int()
  .nonnegative()
  .meta({ description: 'The number of ended sessions.', examples: [1] });

export const sessions = router({
  list: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/auth/sessions',
        tags: ['auth'],
        summary: 'List the live sessions',
        description: 'Every browser and program that is signed in with the password, the latest sign-in first.',
        successDescription: 'The sessions.',
      },
    })
    .input(NoInput)
    .output(z.strictObject({ sessions: z.array(Session) }))
    .query(async ({ ctx }) => {
      const { principal, services } = ctx;
      const ownId = principal.kind === 'session' ? principal.session.id : null;
      const live = await services.sessions.list();
      return { sessions: live.map((seen) => toSession(seen, { current: seen.session.id === ownId })) };
    }),

  revoke: operatorProcedure
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/auth/sessions/{id}',
        tags: ['auth'],
        summary: 'End a session',
        description:
          'Ends the session permanently, on every instance within one second, and forgets its browser. ' +
          "If it is the caller's session, the response clears its cookie.",
        successDescription: 'The session has ended.',
      },
      cookie: 'clears',
      errors: ['NOT_FOUND'],
    })
    .input(idInPath({ of: 'session', example: '8f1d3a5c7b9e0f2a4c6d8e01' }))
    .output(z.strictObject({ revoked: z.literal(1) }))
    .mutation(async ({ ctx, input: { id } }) => {
      const { principal, services, caller } = ctx;
      const isEnded = isId(id) && (await services.sessions.revoke(id, caller));
      if (!isEnded) {
        throw new TRPCError({ code: 'NOT_FOUND', message: messages.noSuchSession });
      }
      if (principal.kind === 'session' && principal.session.id === id) ctx.clearSessionCookies();
      return { revoked: 1 as const };
    }),

  revokeOthers: operatorProcedure
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/auth/sessions',
        tags: ['auth'],
        summary: 'End all other sessions',
        description: "Ends every session except the caller's. A token has no session, so it ends all of them.",
        successDescription: 'The number of ended sessions.',
      },
    })
    .input(NoInput)
    .output(z.strictObject({ revoked }))
    .mutation(async ({ ctx: { principal, services, caller } }) => {
      const ownId = principal.kind === 'session' ? principal.session.id : null;
      return { revoked: await services.sessions.revokeAllBut(ownId, caller) };
    }),
});
