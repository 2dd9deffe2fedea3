// Metrics: on their own port, with labels from a fixed list, and correct.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ListenError } from '../../src/http/listener/listen.ts';
import { occupyPasswordCheck, oneAtATime } from '../support/busy.ts';
import { engine, sendRaw, startServer, type TestServer } from '../support/harness.ts';

const on = { metricsPort: 0, metricsHost: '127.0.0.1' };

/** Every sample by its name and labels, as written. */
async function readMetrics(server: TestServer): Promise<Map<string, number>> {
  const answer = await fetch(server.metricsUrl ?? '');
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('they are off unless METRICS_PORT is set, and never on the main port', async () => {
  await using without = await startServer();
  expect(without.metricsUrl).toBeNull();
  await using server = await startServer(on);
  expect(new URL(server.metricsUrl ?? '').port).not.toBe(new URL(server.url).port);
  for (const each of [without, server]) expect((await fetch(`${each.url}/metrics`)).status).toBe(404);
});

test('their port serves nothing else', async () => {
  await using server = await startServer(on);
  const url = server.metricsUrl ?? '';
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(`${url}?x=1`)).status).toBe(200);
  for (const [line, status] of [
    ['GET /', 404],
    ['GET /metrics/', 404],
    ['GET /api/v1/auth/status', 404],
    ['POST /metrics', 405],
    ['DELETE /metrics', 405],
  ] as const) {
    expect((await sendRaw(url, line)).status, line).toBe(status);
  }
});

test('requests are counted by operation and status, on each face', async () => {
  await using server = await startServer(on);
  const client = server.client();
  await client.rest('POST', '/auth/login', { password: 'wrong' });
  await client.signIn();
  for (const _ of [1, 2, 3]) await client.rest('GET', '/auth/me');
  await client.rest('DELETE', `/auth/sessions/${'a'.repeat(24)}`);
  await client.trpc('query', 'auth.me');
  await fetch(`${server.url}/trpc/auth.me,auth.status?batch=1`, { headers: { cookie: client.cookie } });
  await fetch(`${server.url}/api/v1/auth/verify`, { headers: { cookie: client.cookie }, method: 'PUT' });
  await fetch(`${server.url}/api/v1/auth/verify`);
  await fetch(`${server.url}/healthz`, { method: 'HEAD' });
  await fetch(`${server.url}/docs/index.css`);
  for (const path of ['/', '/login', '/logout', '/sessions']) await fetch(server.url + path, { redirect: 'manual' });

  const expected = {
    'rest auth.login 401': 1,
    'rest auth.login 200': 1,
    'rest auth.me 200': 3,
    'rest auth.sessions.revoke 404': 1,
    'trpc auth.me 200': 1,
    'trpc batch 200': 1,
    'verify auth.verify 204': 1,
    'verify auth.verify 401': 1,
    'probe /healthz 200': 1,
    'page / 303': 1,
    'page /login 200': 1,
    'page /logout 200': 1,
    'page /sessions 303': 1,
  };
  await expect
    .poll(async () => {
      const metrics = await readMetrics(server);
      return Object.fromEntries(
        Object.keys(expected).map((key) => {
          const [face, operation, status] = key.split(' ');
          const labels = `{face="${face}",operation="${operation}",status="${status}"}`;
          return [key, metrics.get(`backchannel_requests_total${labels}`)];
        }),
      );
    })
    .toEqual(expected);
  const metrics = await readMetrics(server);
  const labels = 'face="rest",operation="auth.me"';
  expect(metrics.get(`backchannel_request_duration_seconds_count{${labels}}`)).toBe(3);
  expect(metrics.get(`backchannel_request_duration_seconds_bucket{le="+Inf",${labels}}`)).toBe(3);
});

test('no label contains what a caller sends', async () => {
  await using server = await startServer(on);
  const lines = [
    'GET /canary',
    'GET /api/v1/canary',
    'PATCH /api/v1/auth/me',
    'GET /trpc/canary',
    'GET /trpc/canary,canary2',
    'GET /trpc/constructor',
    'GET /api/v1/__proto__',
    'GET /__proto__',
    'GET /docs/canary',
    'GET /auth/me?canary',
    'GET http://canary/canary',
  ];
  for (const line of lines) await sendRaw(server.url, line, { headers: { 'X-Request-Id': 'canary', Host: 'canary' } });
  await sendRaw(server.url, 'GET /api/v1/auth/sessions/canary');
  const names = async () => [...(await readMetrics(server)).keys()];
  await expect.poll(async () => (await names()).join()).toContain('face="docs"');
  expect((await names()).filter((name) => /canary|proto|constructor|PATCH/.test(name))).toEqual([]);
});

test('a caller that disconnects before the response is counted as aborted', async () => {
  await using server = await startServer(on);
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write(
    'POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n',
  );
  socket.write('Expect: 100-continue\r\n\r\n');
  // The log line means that the server has received the request.
  expect(String(await once(socket, 'data'))).toContain('100 Continue');
  socket.destroy();
  const name = 'backchannel_requests_total{face="rest",operation="auth.login",status="aborted"}';
  await expect.poll(async () => (await readMetrics(server)).get(name)).toBe(1);
});

test('sign-ins are counted by outcome, and live sessions and tokens are counted', async () => {
  await using server = await startServer({ ...on, loginMaxFailures: 2 });
  const client = server.client();
  await client.signIn();
  await client.rest('POST', '/auth/step-up', { password: 'wrong' });
  await client.rest('POST', '/auth/tokens', { name: 'x', scope: 'read' });
  for (const _ of [1, 2, 3]) await server.client().rest('POST', '/auth/login', { password: 'wrong' });
  const metrics = await readMetrics(server);
  const checks = (purpose: string, outcome: string) =>
    metrics.get(`backchannel_password_checks_total{purpose="${purpose}",outcome="${outcome}"}`);
  expect(['right', 'wrong', 'throttled', 'busy', 'unavailable'].map((each) => checks('login', each))).toEqual([
    1, 2, 1, 0, 0,
  ]);
  expect(checks('step-up', 'wrong')).toBe(1);
  expect(metrics.get('backchannel_sessions_live')).toBe(1);
  expect(metrics.get('backchannel_tokens_live')).toBe(1);
  expect(metrics.get('backchannel_database_up')).toBe(1);
  expect(metrics.get('backchannel_database_writes_waiting')).toBe(0);
  const connections = ['busy', 'idle', 'waiting'].map((state) =>
    metrics.get(`backchannel_database_connections{state="${state}"}`),
  );
  if (engine === 'sqlite') expect(connections).toEqual([undefined, undefined, undefined]);
  else expect((connections[0] ?? 0) + (connections[1] ?? 0)).toBeGreaterThan(0);
  expect(metrics.get('backchannel_bcrypt_jobs_total')).toBe(4);
  expect(metrics.get('backchannel_bcrypt_work_seconds_total')).toBeGreaterThan(0);
  expect(metrics.get('backchannel_bcrypt_waiting{lane="unknown-device"}')).toBe(0);
  for (const name of [
    'process_resident_memory_bytes',
    'nodejs_eventloop_lag_p99_seconds',
    'process_start_time_seconds',
  ]) {
    expect(metrics.get(name), name).toBeGreaterThan(0);
  }
});

test('a flood of sign-ins is visible: refused and waiting ones', async () => {
  await using server = await startServer({ ...on, ...oneAtATime, loginMaxFailures: 100 });
  const occupied = await occupyPasswordCheck(server);
  const flood = Array.from({ length: 20 }, () => server.client().rest('POST', '/auth/login', { password: 'wrong' }));
  const read = async () => {
    const metrics = await readMetrics(server);
    const checks = (outcome: string) =>
      metrics.get(`backchannel_password_checks_total{purpose="login",outcome="${outcome}"}`);
    const waiting = metrics.get('backchannel_bcrypt_waiting{lane="unknown-device"}');
    return { waiting, busy: checks('busy'), wrong: checks('wrong') };
  };
  await expect.poll(read, { interval: 5 }).toEqual({ waiting: 16, busy: 4, wrong: 0 });
  await occupied.release();
  await Promise.all(flood);
  expect(await read()).toEqual({ waiting: 0, busy: 4, wrong: 16 });
  expect((await readMetrics(server)).get('backchannel_bcrypt_wait_seconds_total')).toBeGreaterThan(0);
});

test('a port in use is one sentence that names the setting', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as AddressInfo;
  const refusal = await startServer({ ...on, metricsPort: port }).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ListenError);
  expect(String(refusal)).toContain(
    `METRICS_PORT: 127.0.0.1:${port} is in use; stop the program that uses it, or set another port`,
  );
  taken.close();
});

test('docs/operations.md lists every metric with its labels, and its alerts use no others', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/operations.md'), 'utf8');
  await using server = await startServer(on);
  await server.client().signIn();
  await expect.poll(async () => [...(await readMetrics(server)).keys()].join()).toContain('auth.login');
  const text = await (await fetch(server.metricsUrl ?? '')).text();
  const served = [...text.matchAll(/^# TYPE (backchannel_\w+)/gm)].map(([, name]) => name);
  const table = [...page.matchAll(/^\| `backchannel_.*$/gm)].join('\n');
  const isServed = (name = '') => engine !== 'sqlite' || name !== 'backchannel_database_connections';
  const named = [...table.matchAll(/`(backchannel_\w+)`/g)].map(([, name]) => name);
  // Only PostgreSQL has a pool.
  expect(named.filter(isServed).sort()).toEqual(served.sort());
  for (const [, name = '', labels = ''] of page.matchAll(/\b(backchannel_\w+)\{([^}]*)\}/g)) {
    if (!isServed(name)) continue;
    const sample = new RegExp(`^${name}\\{.*$`, 'm').exec(text)?.[0] ?? '';
    for (const [, label] of labels.matchAll(/(\w+)=/g)) expect(sample, name).toContain(`${label}="`);
  }
});
