// A bare Express app with one route, as its documentation writes one. Arguments: the body as JSON, and --no-etag.
import { createServer } from 'node:http';
import express from 'express';
import { listen } from './listen.ts';

const body: unknown = JSON.parse(process.argv[2] ?? '{}');
const app = express();
if (process.argv.includes('--no-etag')) app.disable('etag');
app.get('/api/v1/auth/me', (_req, res) => {
  res.json(body);
});

listen(createServer(app));
