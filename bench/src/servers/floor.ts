// The floor: the least that node:http can do with a request. It answers every one with the body given as the argument, or,
// given headers as a JSON list, with 204 and these.
import { createServer } from 'node:http';
import { listen } from './listen.ts';

const given = process.argv[2] ?? '{}';
const isList = given.startsWith('[');
const status = isList ? 204 : 200;
const body = isList ? undefined : Buffer.from(given);
const headers = body
  ? { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length }
  : (JSON.parse(given) as string[]);

listen(
  createServer((_req, res) => {
    res.writeHead(status, headers);
    res.end(body);
  }),
);
