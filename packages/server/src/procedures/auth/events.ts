// Events: the record of sign-ins, failures, revocations and changes.
import { z } from 'zod';
import { eventTypes } from '../../services/events.ts';
import { toEvent } from '../../services/views.ts';
import { operatorProcedure, router } from '../../trpc.ts';
import { Id } from '../inputs.ts';

export const Event = z
  .strictObject({
    id: Id.meta({ description: 'Later events have greater ids.' }),
    at: z.iso.datetime().meta({ description: 'When it happened.' }),
    type: z.enum(eventTypes).meta({ description: 'What happened.' }),
    ip: z.string().nullable().meta({ description: 'The IP address of the caller; null for the server itself.' }),
    userAgent: z.string().nullable().meta({ description: 'The User-Agent of the caller.' }),
    sessionId: Id.nullable().meta({ description: 'The session that the event is about.' }),
    tokenId: Id.nullable().meta({ description: 'The API token that the event is about.' }),
    detail: z.string().nullable().meta({ description: 'Details for people.' }),
  })
  .meta({
    id: 'Event',
    description: 'A recorded event.',
    examples: [
      {
        id: '019ceb5bfc000001c3d29a4f',
        at: '2026-03-14T08:00:00.000Z',
        type: 'login.succeeded',
        ip: '192.0.2.7',
        userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
        sessionId: '8f1d3a5c7b9e0f2a4c6d8e01',
        tokenId: null,
        detail: null,
      },
    ],
  });
export type Event = z.infer<typeof Event>;

const NEXT_EVENT = '019d3c6a8e00000051c0ffee';

export const events = router({
  list: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/auth/events',
        tags: ['auth'],
        summary: 'List events',
        description:
          'Sign-ins, failures, revocations and changes, newest first. Events are kept for EVENT_RETENTION_DAYS.',
        successDescription: 'A page of events, and the cursor of the next page.',
      },
    })
    .input(
      z
        .strictObject({
          limit: z
            .int()
            .min(1)
            .max(100)
            .optional()
            .meta({ description: 'The number of events on a page; 50 by default.', examples: [50] }),
          cursor: Id.optional().meta({
            description: 'The `nextCursor` of the previous page.',
            examples: [NEXT_EVENT],
          }),
          type: z.enum(eventTypes).optional().meta({ description: 'Only events of this type.' }),
        })
        .optional(),
    )
    .output(
      z.strictObject({
        events: z.array(Event),
        nextCursor: Id.nullable().meta({
          description: 'The cursor of the next page; null on the last page.',
          examples: [NEXT_EVENT],
        }),
      }),
    )
    .query(async ({ ctx, input: { limit = 50, cursor, type } = {} }) => {
      const filter = { limit, ...(cursor ? { cursor } : {}), ...(type ? { type } : {}) };
      const page = await ctx.services.events.list(filter);
      return { events: page.events.map(toEvent), nextCursor: page.nextCursor };
    }),
});
