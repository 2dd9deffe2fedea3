// Clients that are slow, disconnect or send too much: each gets an error in time and delays no one else.
// Runs on one engine: connections don't depend on the database.
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createConnections } from '../../../src/http/listener/connections.ts';
import { createDrain } from '../../../src/http/listener/drain.ts';
import { stopListening } from '../../../src/http/listener/listen.ts';
import { readError, sendBytes, sendRaw, startServer, type TestServer } from '../../support/harness.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

const HEAD =
  'POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n';

async function open({ url }: { url: string }): Promise<{ socket: Socket; ended: Promise<string> }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
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

/** Sends a byte now and then until a response arrives. */
function drip(socket: Socket): void {
  const timer = setInterval(() => socket.write('x'), 20);
  for (const event of ['data', 'close']) socket.once(event, () => clearInterval(timer));
}

describe('a hundred slow clients of each kind', { concurrent: true }, () => {
  const [headersPatienceMs, requestPatienceMs] = [500, 800];
  let patient: TestServer;
  beforeAll(async () => {
    patient = await startServer({}, { limits: { headersPatienceMs, requestPatienceMs, checkEveryMs: 20 } });
  });
  afterAll(() => patient[Symbol.asyncDispose]());

  interface Kind {
    kind: string;
    bytes: string;
    drips?: true;
    patienceMs: number;
  }
  const chunked = HEAD.replace('Content-Length: 1000', 'Transfer-Encoding: chunked');
  test.each<Kind>([
    { kind: 'say nothing', bytes: '', patienceMs: headersPatienceMs },
    {
      kind: 'drip their headers',
      bytes: 'GET / HTTP/1.1\r\nHost: a\r\nX-A: ',
      drips: true,
      patienceMs: headersPatienceMs,
    },
    { kind: 'stop in their headers', bytes: 'GET / HTTP/1.1\r\nHost: a\r\n', patienceMs: headersPatienceMs },
    { kind: 'stop in their body', bytes: `${HEAD}\r\n{`, patienceMs: requestPatienceMs },
    { kind: 'drip their body', bytes: `${HEAD}\r\n{`, drips: true, patienceMs: requestPatienceMs },
    { kind: 'drip a chunked body', bytes: `${chunked}\r\nfff\r\n`, drips: true, patienceMs: requestPatienceMs },
  ])('that $kind get 408 in time, while others are served', async ({ bytes, drips, patienceMs }) => {
    const begin = performance.now();
    const begun = Array.from({ length: 100 }, async () => {
      const { socket, ended } = await open(patient);
      socket.write(bytes);
      if (drips) drip(socket);
      return { ended };
    });
    const clients = await Promise.all(begun);
    const client = patient.client();
    expect((await client.signIn()).status).toBe(200);
    for (const { ended } of clients) {
      const [head = '', body = ''] = (await ended).split('\r\n\r\n');
      expect(head).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
      expect(JSON.parse(body)).toEqual({ code: 'BAD_REQUEST', message: 'The request took too long to arrive.' });
    }
    expect(performance.now() - begin).toBeGreaterThanOrEqual(patienceMs);
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });
});

test('headers over 48 KiB are 431 with advice, in the shape of every error', async () => {
  for (const bytes of [
    `GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nCookie: ${'x'.repeat(50_000)}\r\n\r\n`,
    `GET /api/v1/auth/verify?${'x'.repeat(50_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  ]) {
    const answer = await sendBytes(server.url, bytes);
    expect(answer.status).toBe(431);
    expect(answer.json).toEqual({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(/larger than 48 KiB; .*cookies/),
    });
    expect(answer.headers.connection).toEqual(['close']);
  }
  const cookie = `a=${'x'.repeat(47_000)}`;
  expect((await sendRaw(server.url, 'GET /api/v1/auth/status', { headers: { cookie } })).status).toBe(200);
});

test('all headers are read, however many a client sends before those of the proxy', async () => {
  const client = server.client();
  await client.signIn();
  const fill = Array.from({ length: 1500 }, (): [string, string] => ['a', '']);
  const headers: [string, string][] = [['Connection', 'close'], ...fill, ['Cookie', client.cookie]];
  const answer = await sendRaw(server.url, 'GET /api/v1/auth/verify', { headers });
  expect(answer.status).toBe(204);
});

test('malformed HTTP is 400 in the same shape, and never mixed into a response in progress', async () => {
  const answer = await sendBytes(server.url, 'hello\r\n\r\n');
  expect(readError('REST', 400, answer.json)).toEqual({
    code: 'BAD_REQUEST',
    message: 'This is not a valid HTTP request.',
  });

  const { socket, ended } = await open(server);
  socket.write(`GET /redoc/redoc.standalone.js HTTP/1.1\r\nHost: a\r\n\r\n`);
  await once(socket, 'data');
  socket.write('hello\r\n\r\n');
  const [head = '', ...rest] = (await ended).split('\r\n\r\n');
  const length = Number(/^Content-Length: (\d+)$/im.exec(head)?.[1]);
  expect(length).toBeGreaterThan(500_000);
  expect(rest.join('\r\n\r\n').slice(0, length).includes('This is not a valid HTTP request.')).toBe(false);
});

test('clients that disconnect at any moment leave nothing behind', async () => {
  const moments = ['', 'GET /api', `${HEAD}\r\n`, `${HEAD}\r\n{"pass`, 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'];
  for (const bytes of moments) {
    const clients = await Promise.all(Array.from({ length: 20 }, () => open(server)));
    for (const [index, { socket }] of clients.entries()) {
      socket.write(bytes);
      if (index % 3 === 0) socket.destroy();
      else if (index % 3 === 1) socket.resetAndDestroy();
      // Half-closes the connection after sending everything.
      else socket.end();
    }
    await Promise.all(clients.map(({ ended }) => ended));
  }
  const client = server.client();
  expect((await client.signIn()).status).toBe(200);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});

describe('the listener', () => {
  type Limits = Parameters<typeof createConnections>[0]['limits'];
  const listen = async (limits: Limits = {}) => {
    const log = { repeated: () => {} };
    const connections = createConnections({ log, isTrusted: () => false, limits }).listen(0, '127.0.0.1');
    await once(connections, 'listening');
    const { port } = connections.address() as AddressInfo;
    return { connections, url: `http://127.0.0.1:${port}` };
  };

  test('survives an error of the listening socket', async () => {
    const { connections } = await listen();
    const error = Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' });
    expect(() => connections.emit('error', error)).not.toThrow();
    connections.close();
  });

  test('has the documented limits by default', async () => {
    const { connections } = await listen();
    const { headersTimeout, requestTimeout, keepAliveTimeout, timeout } = connections;
    expect([headersTimeout, requestTimeout, keepAliveTimeout, timeout]).toEqual([10_000, 20_000, 65_000, 60_000]);
    connections.close();
  });

  test('ends a response that its client does not read', async () => {
    const { connections, url } = await listen({ answerPatienceMs: 100 });
    const { socket } = await open({ url });
    const cut = new Promise((resolve) => {
      connections.once('request', (_, res) => res.once('close', resolve).write(Buffer.alloc(64 * 1024 ** 2)));
    });
    socket.pause().write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await cut;
    socket.destroy();
    connections.close();
  });

  test('waits for requests in flight when it closes, and ends those that take too long', async () => {
    const { connections, url } = await listen();
    const { ended, socket } = await open({ url });
    const arrived = once(connections, 'request');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await arrived;
    const begin = performance.now();
    await stopListening(connections, { patienceMs: 200 });
    expect(performance.now() - begin).toBeGreaterThanOrEqual(199);
    expect(await ended).toBe('');
  });

  test('drains: it refuses connections, responds to requests on their way, and tells clients to close', async () => {
    const { connections, url } = await listen();
    const { drain, isDraining } = createDrain(connections, { lingerMs: 5000 });
    connections.on('request', (_, res) => res.end('answered'));
    const [busy, idle] = [await open({ url }), await open({ url })];
    busy.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(busy.socket, 'data');
    const drained = drain();
    expect(isDraining()).toBe(true);
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    busy.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await busy.ended).match(/answered|Connection: close/g)).toEqual([
      'answered',
      'Connection: close',
      'answered',
    ]);
    idle.socket.destroy();
    await drained;
    connections.close();
  });

  test('drains no longer than its limit, and closes connections that never sent anything', async () => {
    const { connections, url } = await listen();
    const { drain } = createDrain(connections, { lingerMs: 50 });
    const { ended } = await open({ url });
    await expect.poll(() => new Promise((found) => connections.getConnections((_, count) => found(count)))).toBe(1);
    await drain();
    expect(await ended).toBe('');
    connections.close();
  });
});
