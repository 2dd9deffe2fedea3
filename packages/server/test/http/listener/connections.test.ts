// Clients that are slow, cut in half, or say too much: each is ended in time, in words, and holds up nobody else.
// Runs on one engine: connections end before the database is asked.
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createConnections } from '../../../src/http/listener/connections.ts';
import { createLog, type Log } from '../../../src/log.ts';
import { readError, sendBytes, sendRaw, startServer, type TestServer } from '../../support/harness.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const HEAD =
  'POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n';

async function open(): Promise<{ socket: Socket; ended: Promise<string> }> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  const ended = once(socket, 'close').then(() => text);
  await once(socket, 'connect');
  return { socket, ended };
}

/** Sends a byte every now and then, as long as somebody listens. */
function drip(socket: Socket): void {
  const timer = setInterval(() => (socket.writable ? socket.write('x') : clearInterval(timer)), 250);
  socket.on('close', () => clearInterval(timer));
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
const errorIn = (answer: string) =>
  readErrorOfAnyStatus(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as { code: string; message: string });
const readErrorOfAnyStatus = (body: { code: string; message: string }) => {
  expect(Object.keys(body).sort()).toEqual(['code', 'message']);
  return body.code;
};

// The limits are those of the server as it is: each of these waits for it, at the same time, and costs nothing meanwhile.
describe('a hundred slow clients of each kind', { concurrent: true, timeout: 60_000 }, () => {
  const kinds: [string, string, boolean][] = [
    ['say nothing', '', false],
    ['drip their headers', 'GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nX-A: ', true],
    ['stop in their headers', 'GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\n', false],
    ['drip their body', `${HEAD}\r\n{`, true],
    ['drip a chunked body', `${HEAD.replace('Content-Length: 1000', 'Transfer-Encoding: chunked')}\r\nfff\r\n`, true],
  ];
  test.each(kinds)('that %s are ended, and others are answered meanwhile', async (_, bytes, drips) => {
    const clients = await Promise.all(Array.from({ length: 100 }, open));
    for (const { socket } of clients) {
      socket.write(bytes);
      if (drips) drip(socket);
    }
    const client = server.client();
    expect((await client.signIn()).status).toBe(200);
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
    const answers = await Promise.all(clients.map(({ ended }) => ended));
    for (const answer of answers) {
      // Who has gone on sending may have had the connection reset before the answer was read.
      if (answer === '' && (drips || bytes === '')) continue;
      expect(statusOf(answer)).toBe(408);
      expect(errorIn(answer)).toBe('BAD_REQUEST');
    }
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });
});

test('headers over 16 KiB are 431 with what to do, in the shape of every error', async () => {
  for (const bytes of [
    `GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nCookie: ${'x'.repeat(20_000)}\r\n\r\n`,
    `GET /api/v1/auth/verify?${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  ]) {
    const answer = await sendBytes(server.url, bytes);
    expect(answer.status).toBe(431);
    expect(answer.json).toEqual({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(/over 16 KiB; .*cookies/),
    });
    expect(answer.headers.connection).toEqual(['close']);
  }
  const cookie = `a=${'x'.repeat(12_000)}`;
  expect((await sendRaw(server.url, 'GET /api/v1/auth/status', { headers: { cookie } })).status).toBe(200);
});

test('headers are read to the last one, however many a stranger put before those of the proxy', async () => {
  const client = server.client();
  await client.signIn();
  const fill = Array.from({ length: 1500 }, (): [string, string] => ['a', '']);
  const headers: [string, string][] = [['Connection', 'close'], ...fill, ['Cookie', client.cookie]];
  const answer = await sendRaw(server.url, 'GET /api/v1/auth/verify', { headers });
  expect(answer.status).toBe(204);
});

test('what is no HTTP is 400 in the same shape, and never mixed into an answer that is on its way', async () => {
  const answer = await sendBytes(server.url, 'hello\r\n\r\n');
  expect(readError('REST', 400, answer.json)).toEqual({ code: 'BAD_REQUEST', message: 'This is no HTTP request.' });

  const { socket, ended } = await open();
  socket.write(`GET /redoc/redoc.standalone.js HTTP/1.1\r\nHost: a\r\n\r\n`);
  await once(socket, 'data');
  socket.write('hello\r\n\r\n');
  const [head = '', ...rest] = (await ended).split('\r\n\r\n');
  const length = Number(/^Content-Length: (\d+)$/im.exec(head)?.[1]);
  expect(length).toBeGreaterThan(500_000);
  expect(rest.join('\r\n\r\n').slice(0, length).includes('This is no HTTP request.')).toBe(false);
});

test('clients that vanish at any moment leave nothing behind', async () => {
  const moments = ['', 'GET /api', `${HEAD}\r\n`, `${HEAD}\r\n{"pass`, 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'];
  for (const bytes of moments) {
    const clients = await Promise.all(Array.from({ length: 20 }, open));
    for (const [index, { socket }] of clients.entries()) {
      socket.write(bytes);
      if (index % 3 === 0) socket.destroy();
      else if (index % 3 === 1) socket.resetAndDestroy();
      // Half of the connection: what it wanted to say it has said.
      else socket.end();
    }
    await Promise.all(clients.map(({ ended }) => ended));
  }
  const client = server.client();
  expect((await client.signIn()).status).toBe(200);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});

describe('the listener', () => {
  const listen = async (log: Log) => {
    const connections = createConnections(log).listen(0, '127.0.0.1');
    await once(connections, 'listening');
    return connections;
  };

  test('outlives an error of its own', async () => {
    const connections = await listen(createLog({ logLevel: 'silent', logFormat: 'json' }));
    expect(() =>
      connections.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' })),
    ).not.toThrow();
    connections.close();
  });

  test('closes connections beyond its limit, says so once, and takes new ones when there is room', async () => {
    const told: string[] = [];
    const log = createLog({ logLevel: 'silent', logFormat: 'json' });
    const connections = await listen(Object.assign(log, { warn: (text: string) => told.push(text) }));
    expect(connections.maxConnections).toBe(4096);
    connections.maxConnections = 2;
    const { port } = connections.address() as AddressInfo;
    const dial = async () => {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      await once(socket, 'connect');
      return socket;
    };
    const [first, second] = [await dial(), await dial()];
    for (const _ of [1, 2]) await once(await dial(), 'close');
    expect(told).toEqual(['more than 4096 connections at once: further ones are closed']);
    first.destroy();
    await expect.poll(() => new Promise((found) => connections.getConnections((_, count) => found(count)))).toBe(1);
    const third = await dial();
    connections.once('request', (_, res) => res.end('taken'));
    third.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(String(await once(third, 'data'))).toContain('taken');
    for (const socket of [second, third]) socket.destroy();
    connections.close();
  });
});
