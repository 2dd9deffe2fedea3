// Request ids: in the response, in every log line about the request, and taken from trusted proxies.
// Runs on one engine: request ids don't depend on the database.
import { afterEach, beforeEach, expect, type MockInstance, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { tearTable } from '../support/elsewhere.ts';
import { type RawAnswer, sendRaw, startServer, type TestServer } from '../support/harness.ts';

let write: MockInstance;
beforeEach(() => {
  write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => write.mockRestore());

/** The lines logged since the test began. */
const lines = () => write.mock.calls.map(([line]) => JSON.parse(String(line)));
const requests = () => lines().filter(({ msg }) => msg === 'request');
const logAt = (logLevel: 'trace' | 'debug' | 'info') => ({ log: createLog({ logLevel, logFormat: 'json' }) });
const idOf = ({ headers }: RawAnswer) => headers['x-request-id'];
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const me = '/api/v1/auth/me';

test('an unavailable database is logged with its reason, without a stack for each request', async () => {
  await using server = await startServer({}, logAt('info'));
  const torn = await tearTable(server, 'sessions');
  const client = server.client();
  expect((await client.signIn()).status).toBe(503);
  await torn.mend();
  const [line] = lines().filter(({ code }) => code === 'SERVICE_UNAVAILABLE');
  expect(line.err).toEqual({
    type: 'StoreUnavailableError',
    message: expect.stringMatching(/^The database [^\n()]+\. \([^\n]+\)$/),
  });
});

test("each wrong password is logged with the caller's address, at a sign-in and at a step-up", async () => {
  await using server = await startServer({ trustedProxies: ['127.0.0.1'] }, logAt('info'));
  const client = server.client();
  await client.signIn();
  write.mockClear();
  const wrong = async (path: string, body: object) => {
    const headers = { 'x-forwarded-for': '203.0.113.9', 'content-type': 'application/json', cookie: client.cookie };
    const answer = await sendRaw(server.url, `POST /api/v1${path}`, { headers, body: JSON.stringify(body) });
    expect(answer.json.message).toBe('Wrong password.');
    return idOf(answer)?.[0];
  };
  const ids = [
    await wrong('/auth/login', { password: 'hunter2' }),
    await wrong('/auth/step-up', { password: 'hunter2' }),
  ];
  const logged = lines().map(({ level, msg, ip, requestId }) => ({ level, msg, ip, requestId }));
  const line = { level: 'info', ip: '203.0.113.9' };
  expect(logged).toEqual([
    { ...line, msg: 'login: wrong password', requestId: ids[0] },
    { ...line, msg: 'step-up: wrong password', requestId: ids[1] },
  ]);
});

test('each response has its own id, on every face', async () => {
  await using server = await startServer();
  const ids = new Set<string>();
  const targets = [
    me,
    '/trpc/auth.me',
    '/healthz',
    '/readyz',
    '/docs',
    '/openapi.json',
    '/nowhere',
    '/%',
    `${me}/verify`,
  ];
  for (const target of targets) {
    for (const method of ['GET', 'OPTIONS', 'POST']) {
      const [id = '', ...more] = idOf(await sendRaw(server.url, `${method} ${target}`)) ?? [];
      expect(id, target).toMatch(UUID);
      expect(more).toEqual([]);
      ids.add(id);
    }
  }
  expect(ids.size).toBe(targets.length * 3);
});

test('an id is only taken from a trusted proxy, and only if it is safe to log', async () => {
  const send = async (server: TestServer, id: string) =>
    (idOf(await sendRaw(server.url, `GET ${me}`, { headers: { 'X-Request-Id': id } })) ?? [])[0];
  await using server = await startServer({ trustedProxies: ['127.0.0.1'] });
  for (const id of ['0123456789abcdef0123456789abcdef', 'req-1:a.b/c+d=@', 'a'.repeat(128)]) {
    expect(await send(server, id)).toBe(id);
  }
  for (const id of ['', 'a'.repeat(129), 'a b', '"x"', 'é', 'a;b', '<x>', '%0a']) {
    expect(await send(server, id), id).toMatch(UUID);
  }
  await using careful = await startServer();
  expect(await send(careful, 'mine')).not.toBe('mine');
});

test('every log line about a request has its id, including failures', async () => {
  await using server = await startServer({ trustedProxies: ['127.0.0.1'] }, logAt('debug'));
  const client = server.client();
  await client.signIn();
  const torn = await tearTable(server, 'sessions');
  server.advance(1000);
  for (const [id, path] of [
    ['by-rest', me],
    ['by-trpc', '/trpc/auth.me'],
    ['by-batch', '/trpc/auth.me,auth.status?batch=1'],
    ['by-proxy', '/api/v1/auth/verify'],
  ] as const) {
    const answer = await sendRaw(server.url, `GET ${path}`, { headers: { 'X-Request-Id': id, cookie: client.cookie } });
    expect(answer.status, path).toBeGreaterThanOrEqual(path.includes(',') ? 207 : 500);
    expect(idOf(answer)).toEqual([id]);
    await expect
      .poll(() => lines().filter(({ level, requestId }) => level === 'error' && requestId === id))
      .not.toEqual([]);
  }
  await torn.mend();
});

test('each request is logged at debug, with its path and without its query', async () => {
  await using server = await startServer({}, logAt('debug'));
  const secret = 'bct_canary';
  await sendRaw(server.url, `GET ${me}?next=https://canary`);
  await sendRaw(server.url, `GET /${secret}`);
  await sendRaw(server.url, `GET /${'x'.repeat(1000)}`);
  await fetch(`${server.url}/healthz`);
  await fetch(`${server.url}/api/v1/auth/verify`);
  await expect.poll(requests).toHaveLength(3);
  const [first, second, third] = requests();
  expect(first).toEqual({
    level: 'debug',
    time: expect.any(String),
    msg: 'request',
    requestId: expect.any(String),
    method: 'GET',
    path: me,
    ip: '127.0.0.1',
    face: 'rest',
    operation: 'auth.me',
    status: 401,
    durationMs: expect.any(Number),
  });
  expect(second.path).toBe('/bct_…');
  expect(third.path).toHaveLength(200);
  expect(JSON.stringify(lines())).not.toContain('canary');
});

test('forward-auth and probes are logged at trace, and at info no request is logged', async () => {
  {
    await using server = await startServer({}, logAt('trace'));
    for (const path of ['/healthz', '/readyz', '/api/v1/auth/verify']) await fetch(server.url + path);
    await expect
      .poll(() => requests().map(({ path, level }) => `${level} ${path}`))
      .toEqual(['trace /healthz', 'trace /readyz', 'trace /api/v1/auth/verify']);
  }
  write.mockClear();
  await using server = await startServer({}, logAt('info'));
  await server.client().signIn();
  await fetch(`${server.url}/healthz`);
  expect(requests()).toEqual([]);
});
