// A Fastify app that checks HMAC and row at each request.
import fastify from 'fastify';
import { listen } from './listen.ts';
import { openSessions } from './sessions.ts';

const sessions = openSessions();
const app = fastify();
app.get('/login', (_req, reply) => reply.header('set-cookie', sessions.setCookie).send());
app.get('/me', (req, reply) => {
  const session = sessions.check(req.headers.cookie);
  return session ? { authenticated: true, session } : reply.code(401).send();
});

await app.ready();
listen(app.server);
