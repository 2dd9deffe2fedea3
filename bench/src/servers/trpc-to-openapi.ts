// What one gets without care: a tRPC procedure behind Express and trpc-to-openapi's own middleware, which finds its session
// with MikroORM's findOne.
import { createServer } from 'node:http';
import { defineEntity, p } from '@mikro-orm/core';
import { MikroORM } from '@mikro-orm/sqlite';
import { initTRPC, TRPCError } from '@trpc/server';
import express from 'express';
import { createOpenApiExpressMiddleware, type OpenApiMeta } from 'trpc-to-openapi';
import { z } from 'zod';
import { listen } from './listen.ts';
import { openSessions, sha256 } from './sessions.ts';

const sessions = openSessions();
const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: p.text().primary(),
    secretSha256: p.text().unique(),
    createdAt: p.bigint('number'),
    lastSeenAt: p.bigint('number'),
    expiresAt: p.bigint('number'),
    endedAt: p.bigint('number').strictNullable(),
    ip: p.text(),
    userAgent: p.text(),
  },
});
const orm = await MikroORM.init({ entities: [SessionEntity], dbName: sessions.file });

const t = initTRPC.meta<OpenApiMeta>().context<{ cookie: string | undefined }>().create();
const signedIn = t.procedure.use(async ({ ctx, next }) => {
  const secret = sessions.open(ctx.cookie);
  const session = secret && (await orm.em.fork().findOne(SessionEntity, { secretSha256: sha256(secret) }));
  if (!session || session.endedAt !== null || session.expiresAt <= Date.now()) {
    throw new TRPCError({ code: 'UNAUTHORIZED' });
  }
  return next({ ctx: { session } });
});
const Session = z.object({
  id: z.string(),
  createdAt: z.number(),
  lastSeenAt: z.number(),
  expiresAt: z.number(),
  ip: z.string(),
  userAgent: z.string(),
});
const router = t.router({
  me: signedIn
    .meta({ openapi: { method: 'GET', path: '/me' } })
    .input(z.void())
    .output(z.object({ authenticated: z.literal(true), session: Session }))
    .query(({ ctx }) => ({ authenticated: true, session: ctx.session })),
});

const app = express();
app.get('/login', (_req, res) => {
  res.setHeader('Set-Cookie', sessions.setCookie).end();
});
const createContext = ({ req }: { req: express.Request }) => ({ cookie: req.headers.cookie });
app.use(createOpenApiExpressMiddleware({ router, createContext }));

listen(createServer(app));
