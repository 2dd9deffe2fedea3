// An oRPC procedure whose middleware checks HMAC and row, on oRPC's own handler for Node's server.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { ORPCError, os } from '@orpc/server';
import { RPCHandler } from '@orpc/server/node';
import { listen } from './listen.ts';
import { openSessions } from './sessions.ts';

const sessions = openSessions();
const me = os
  .$context<{ headers: IncomingHttpHeaders }>()
  .$route({ method: 'GET' })
  .use(({ context, next }) => {
    const session = sessions.check(context.headers.cookie);
    if (!session) throw new ORPCError('UNAUTHORIZED');
    return next({ context: { session } });
  })
  .handler(({ context }) => ({ authenticated: true, session: context.session }));
const handler = new RPCHandler({ me });

listen(
  createServer(async (req, res) => {
    if (req.url === '/login') {
      res.writeHead(200, ['Set-Cookie', sessions.setCookie]).end();
      return;
    }
    const { matched } = await handler.handle(req, res, { context: { headers: req.headers } });
    if (!matched) res.writeHead(404).end();
  }),
);
