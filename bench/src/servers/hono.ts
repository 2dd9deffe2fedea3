// A Hono app on Node's server that checks HMAC and row at each request.

import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { listen } from './listen.ts';
import { openSessions } from './sessions.ts';

const sessions = openSessions();
const app = new Hono();
app.get('/login', (c) => c.body(null, 200, { 'set-cookie': sessions.setCookie }));
app.get('/me', (c) => {
  const session = sessions.check(c.req.header('cookie'));
  return session ? c.json({ authenticated: true, session }) : c.body(null, 401);
});

listen(createAdaptorServer({ fetch: app.fetch }) as Server);
