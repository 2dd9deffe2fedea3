// What a signed-in client can see about itself and the server. `protected` is an example to copy.
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
        summary: "Get the caller's profile",
        description:
          'Returns the session or token, the IP address and User-Agent of this request, and when the session or token ' +
          'was created and expires.',
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
          .meta({ description: 'The IP address of this request.', examples: ['192.0.2.7'] }),
        userAgent: z
          .string()
          .nullable()
          .meta({ description: 'The User-Agent of this request.', examples: ['curl/8.14.1'] }),
        since: z.iso.datetime().meta({ description: 'When the session or token was created.' }),
        until: z.iso
          .datetime()
          .nullable()
          .meta({ description: 'When the session expires unless it is used, or when the token expires; null: never.' }),
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
        summary: 'Get an overview of the server',
        description:
          'Returns the number of live sessions and tokens, the last sign-in, the failed sign-ins of the last 24 hours, ' +
          'the latest events, and the sign-ins per UTC day.',
        successDescription: 'The dashboard. `loginsPerDay` has 14 days, oldest first.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        version: z.string().meta({ description: "The server's version.", examples: [version] }),
        uptimeSeconds: count.meta({ description: 'Seconds since the server started.', examples: [86_400] }),
        activeSessions: count.meta({ description: 'The number of live sessions.', examples: [2] }),
        activeTokens: count.meta({ description: 'The number of live API tokens.', examples: [0] }),
        lastLoginAt: z.iso.datetime().nullable().meta({ description: 'The time of the last sign-in.' }),
        failedLogins24h: count.meta({ description: 'Wrong passwords in the last 24 hours.', examples: [1] }),
        recentEvents: z.array(Event).max(10).meta({ description: 'The latest events, newest first.' }),
        loginsPerDay: z
          .array(z.strictObject({ date: z.iso.date(), count }))
          .length(14)
          .meta({
            description: 'Sign-ins per UTC day, oldest first. Days without a sign-in have count 0.',
            examples: [exampleDays],
          }),
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
        summary: "Get the caller's usage",
        description:
          "Returns the number of requests made with the caller's session or token, including this one, and the time " +
          'until it expires.',
        successDescription: 'The statistics.',
      },
    })
    .input(NoInput)
    .output(
      z.strictObject({
        requestCount: z
          .int()
          .positive()
          .meta({ description: 'Includes this request.', examples: [17] }),
        firstSeenAt: z.iso.datetime().meta({ examples: ['2026-03-14T08:26:53.000Z'] }),
        lastSeenAt: z.iso.datetime().meta({ description: 'The time of this request.' }),
        ageSeconds: count.meta({ examples: [3600] }),
        idleSecondsLeft: count.nullable().meta({
          description: 'Seconds until the session expires unless it is used; null for a token.',
          examples: [3600],
        }),
        secondsLeft: count.nullable().meta({
          description: 'Seconds until the session or token expires, even if it is used; null: never.',
          examples: [2_588_400],
        }),
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
        summary: 'Example of a protected operation',
        description: 'Copy it to add an operation. `operatorProcedure` requires a session or a token.',
        successDescription: 'The caller is signed in.',
      },
    })
    .input(NoInput)
    .output(z.strictObject({ message: z.string().meta({ examples: ['You are signed in.'] }) }))
    .query(() => ({ message: 'You are signed in.' })),
});

/** The usage of a session or token, including this request, and when it ends (milliseconds since 1970; null: never). */
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
