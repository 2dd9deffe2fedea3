// What a signed-in client can see of itself and of the server. `protected` is the example to copy from.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { DAY_MS, isoTime } from '../clock.ts';
import { messages } from '../messages.ts';
import type { Principal } from '../services/access/principal.ts';
import type { Services } from '../services/services.ts';
import { toEvent } from '../services/views.ts';
import { operatorProcedure, router } from '../trpc.ts';
import { version } from '../version.ts';
import { callerFields, spanOf, toCaller } from './auth/caller.ts';
import { Event } from './auth/events.ts';
import { NoInput } from './inputs.ts';

const count = z.int().nonnegative();
const exampleDays = Array.from({ length: 14 }, (_, index) => ({
  date: `2026-03-${String(index + 1).padStart(2, '0')}`,
  count: index % 3,
}));

export const client = router({
  profile: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/client/profile',
        tags: ['client'],
        summary: 'The caller, with where it calls from',
        description:
          'The session or token in use, the address and User-Agent of this request, since when and until when.',
        successDescription: 'The profile.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        principal: z.literal('operator'),
        ...callerFields,
        ip: z
          .string()
          .nullable()
          .meta({ description: 'Where this request came from.', examples: ['192.0.2.7'] }),
        userAgent: z
          .string()
          .nullable()
          .meta({ description: 'Of this request.', examples: ['curl/8.14.1'] }),
        since: z.iso.datetime().meta({ description: 'When the session was opened, or the token made.' }),
        until: z.iso
          .datetime()
          .nullable()
          .meta({ description: 'When it ends, a session unless it is used; null: never.' }),
      }),
    )
    .query(({ ctx }) => {
      const { since, until } = spanOf(ctx.principal, ctx.services);
      return {
        principal: 'operator' as const,
        ...toCaller(ctx.principal, ctx.services),
        ip: ctx.caller.ip,
        userAgent: ctx.caller.userAgent,
        since: isoTime(since),
        until: until === null ? null : isoTime(until),
      };
    }),

  dashboard: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/client/dashboard',
        tags: ['client'],
        summary: 'The server at a glance',
        description:
          'Live sessions and tokens, the last sign-in, failures of the last 24 hours, and sign-ins per UTC day.',
        successDescription: 'The dashboard; `loginsPerDay` has 14 days, oldest first.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        version: z.string().meta({ description: 'Of the server.', examples: [version] }),
        uptimeSeconds: count.meta({ description: 'How long the server has been running.', examples: [86_400] }),
        activeSessions: count.meta({ description: 'Sessions that are live now.', examples: [2] }),
        activeTokens: count.meta({ description: 'API tokens that are live now.', examples: [0] }),
        lastLoginAt: z.iso.datetime().nullable().meta({ description: 'When somebody last signed in.' }),
        failedLogins24h: count.meta({ description: 'Wrong passwords in the last 24 hours.', examples: [1] }),
        recentEvents: z.array(Event).max(10).meta({ description: 'The latest, newest first.' }),
        loginsPerDay: z
          .array(z.strictObject({ date: z.iso.date(), count }))
          .length(14)
          .meta({ description: 'Sign-ins per UTC day, oldest first, zeros kept.', examples: [exampleDays] }),
      }),
    )
    .query(async ({ ctx }) => {
      const { events, sessions, tokens, startedAt, clock } = ctx.services;
      const now = clock();
      const lastLoginAt = await events.lastAt('login.succeeded');
      return {
        version,
        uptimeSeconds: Math.max(0, Math.floor((now - startedAt) / 1000)),
        activeSessions: await sessions.countLive(),
        activeTokens: await tokens.countLive(),
        lastLoginAt: lastLoginAt === null ? null : isoTime(lastLoginAt),
        failedLogins24h: await events.countSince('login.failed', now - DAY_MS),
        recentEvents: (await events.list({ limit: 10 })).events.map(toEvent),
        loginsPerDay: await events.perDay('login.succeeded', 14),
      };
    }),

  stats: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/client/stats',
        tags: ['client'],
        summary: "The caller's own use",
        description:
          "Requests made with the caller's own session or token, this one included, and how long it still lasts.",
        successDescription: 'The statistics.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        requestCount: z
          .int()
          .positive()
          .meta({ description: 'This one included.', examples: [17] }),
        firstSeenAt: z.iso.datetime().meta({ examples: ['2026-03-14T08:26:53.000Z'] }),
        lastSeenAt: z.iso.datetime().meta({ description: 'This request.' }),
        ageSeconds: count.meta({ examples: [3600] }),
        idleSecondsLeft: count
          .nullable()
          .meta({ description: 'Until it ends unless it is used; null for a token.', examples: [3600] }),
        secondsLeft: count
          .nullable()
          .meta({ description: 'Until it ends, used or not; null: never.', examples: [2_588_400] }),
      }),
    )
    .query(async ({ ctx }) => {
      const { clock } = ctx.services;
      const use = await useOf(ctx.principal, ctx.services);
      if (!use) throw new TRPCError({ code: 'UNAUTHORIZED', message: messages.signInFirst });
      const now = clock();
      const secondsUntil = (at: number | null) => (at === null ? null : Math.max(0, Math.floor((at - now) / 1000)));
      return {
        requestCount: use.requestCount,
        firstSeenAt: isoTime(use.firstSeenAt),
        lastSeenAt: isoTime(use.lastSeenAt),
        ageSeconds: Math.max(0, Math.floor((now - use.firstSeenAt) / 1000)),
        idleSecondsLeft: secondsUntil(use.idleEndAt),
        secondsLeft: secondsUntil(use.endAt),
      };
    }),

  protected: operatorProcedure
    .meta({
      openapi: {
        method: 'GET',
        path: '/client/protected',
        tags: ['client'],
        summary: 'An example of a protected operation',
        description: 'Copy it for an operation of your own: `operatorProcedure` refuses strangers.',
        successDescription: 'The caller is signed in.',
      },
    })
    .input(NoInput)
    .output(z.strictObject({ message: z.string().meta({ examples: ['You are signed in.'] }) }))
    .query(() => ({ message: 'You are signed in.' })),
});

/** How much a caller was used, this request included, and when it ends (milliseconds since 1970; null: never). */
async function useOf(principal: Principal, services: Services) {
  if (principal.kind === 'token') {
    const token = await services.tokens.reload(principal.token);
    if (!token) return null;
    const { requestCount, createdAt, lastUsedAt, expiresAt } = token;
    const lastSeenAt = lastUsedAt ?? createdAt;
    return { requestCount, firstSeenAt: createdAt, lastSeenAt, idleEndAt: null, endAt: expiresAt };
  }
  const session = await services.sessions.reload(principal.session);
  if (!session) return null;
  const { idleEndAt, absoluteEndAt } = services.sessions.seen(session).ends;
  const { requestCount, createdAt, lastSeenAt } = session;
  return { requestCount, firstSeenAt: createdAt, lastSeenAt, idleEndAt, endAt: absoluteEndAt };
}
