// What a signed-in client can see of itself and of the server. `protected` is the example to copy from.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { isoTime } from '../clock.ts';
import { operatorProcedure, router } from '../trpc.ts';
import { version } from '../version.ts';
import { Event, toEvent } from './auth/events.ts';
import { Session, toSession } from './auth/sessions.ts';
import { Token } from './auth/tokens.ts';

const NoInput = z.strictObject({}).optional();
const DAY_MS = 86_400_000;
const count = z.int().nonnegative();

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
      access: 'operator',
    })
    .input(NoInput)
    .output(
      z.strictObject({
        principal: z.literal('operator'),
        method: z.enum(['session', 'token']),
        session: Session.nullable(),
        token: Token.nullable(),
        ip: z.string().nullable().meta({ example: '192.0.2.7' }),
        userAgent: z.string().nullable(),
        since: z.iso.datetime(),
        until: z.iso.datetime().nullable(),
      }),
    )
    .query(({ ctx }) => {
      const used = ctx.services.sessions.asUsed(ctx.principal.session);
      return {
        principal: 'operator' as const,
        method: 'session' as const,
        session: toSession(used, { current: true }),
        token: null,
        ...ctx.client,
        since: isoTime(used.session.createdAt),
        until: isoTime(used.ends.expiresAt),
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
      access: 'operator',
    })
    .input(NoInput)
    .output(
      z.strictObject({
        version: z.string().meta({ example: '0.1.0' }),
        uptimeSeconds: count,
        activeSessions: count,
        activeTokens: count,
        lastLoginAt: z.iso.datetime().nullable(),
        failedLogins24h: count,
        recentEvents: z.array(Event).max(10),
        loginsPerDay: z.array(z.strictObject({ date: z.iso.date(), count })).length(14),
      }),
    )
    .query(async ({ ctx }) => {
      const { events, sessions, startedAt, clock } = ctx.services;
      const now = clock();
      const lastLoginAt = await events.lastAt('login.succeeded');
      return {
        version,
        uptimeSeconds: Math.floor((now - startedAt) / 1000),
        activeSessions: await sessions.countLive(),
        activeTokens: 0,
        lastLoginAt: lastLoginAt === null ? null : isoTime(lastLoginAt),
        failedLogins24h: await events.countSince('login.failed', now - DAY_MS),
        recentEvents: (await events.latest(10)).map(toEvent),
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
      access: 'operator',
    })
    .input(NoInput)
    .output(
      z.strictObject({
        requestCount: z.int().positive(),
        firstSeenAt: z.iso.datetime(),
        lastSeenAt: z.iso.datetime(),
        ageSeconds: count,
        idleSecondsLeft: count.nullable().meta({ description: 'Until it ends unless it is used.' }),
        secondsLeft: count.nullable().meta({ description: 'Until it ends, used or not.' }),
      }),
    )
    .query(async ({ ctx }) => {
      const { sessions, clock } = ctx.services;
      const session = await sessions.reload(ctx.principal.session);
      if (!session) throw new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first.' });
      const { idleEndAt, absoluteEndAt } = sessions.asUsed(session).ends;
      const now = clock();
      const secondsUntil = (at: number) => Math.max(0, Math.floor((at - now) / 1000));
      return {
        requestCount: session.requestCount,
        firstSeenAt: isoTime(session.createdAt),
        lastSeenAt: isoTime(session.lastSeenAt),
        ageSeconds: Math.max(0, Math.floor((now - session.createdAt) / 1000)),
        idleSecondsLeft: secondsUntil(idleEndAt),
        secondsLeft: secondsUntil(absoluteEndAt),
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
      access: 'operator',
    })
    .input(NoInput)
    .output(z.strictObject({ message: z.string().meta({ example: 'You are signed in.' }) }))
    .query(() => ({ message: 'You are signed in.' })),
});
