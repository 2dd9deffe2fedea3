// The floor: the least that node:http can do with a request. It answers every one with the body given as the argument.
import { createServer } from 'node:http';
import { listen } from './listen.ts';

const body = Buffer.from(process.argv[2] ?? '{}');
const headers = { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length };

listen(
  createServer((_req, res) => {
    res.writeHead(200, headers);
    res.end(body);
  }),
);
