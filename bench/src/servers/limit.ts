// The practical limit: what is left of a forward-auth server when everything but the check is left out. A bare node:http
// server that checks HMAC and row at each request and answers 204 with the identity headers.
import { createServer } from 'node:http';
import { listen } from './listen.ts';
import { openSessions } from './sessions.ts';

const sessions = openSessions();
const always = ['Cache-Control', 'no-store', 'Remote-User', 'operator', 'X-Auth-Method', 'session'];

listen(
  createServer((req, res) => {
    if (req.url === '/login') {
      res.writeHead(200, ['Set-Cookie', sessions.setCookie]).end();
      return;
    }
    const session = sessions.check(req.headers.cookie);
    if (session) res.writeHead(204, [...always, 'X-Auth-Session', session.id]).end();
    else res.writeHead(401).end();
  }),
);
