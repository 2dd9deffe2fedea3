// better-auth on better-sqlite3, asked for the session, as its documentation sets it up: no cookie cache, with which a
// revoked session would live on. Arguments: its folder.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import Database from 'better-sqlite3';
import { listen } from './listen.ts';

const database = new Database(join(process.argv[2] ?? '', 'better-auth.db'));
database.pragma('journal_mode = WAL');
const auth = betterAuth({
  database,
  secret: randomBytes(32).toString('base64url'),
  baseURL: 'http://localhost',
  emailAndPassword: { enabled: true },
  // All requests of a run come from one address.
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
});
const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
const { headers } = await auth.api.signUpEmail({
  body: { name: 'operator', email: 'operator@example.com', password: randomBytes(12).toString('hex') },
  returnHeaders: true,
});
const answer = toNodeHandler(auth);

listen(
  createServer((req, res) => {
    if (req.url === '/login') {
      res.writeHead(200, { 'Set-Cookie': headers.getSetCookie().map((line) => line.split(';', 1)[0] ?? '') }).end();
    } else void answer(req, res);
  }),
);
