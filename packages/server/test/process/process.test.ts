// The server as a process: what it prints, how it ends, and what it leaves behind.
// Runs on one engine: it is about the process; instances.test.ts runs processes on both.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { settings } from '../../src/config/config.ts';
import { openStore } from '../../src/store/database.ts';
import { call, main, run } from '../support/server-process.ts';

const repository = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
const newFolder = () => mkdtempSync(join(tmpdir(), 'backchannel-process-'));

async function signIn(url: string, password = 'admin123'): Promise<string> {
  const answer = await call(url, 'POST /api/v1/auth/login', { body: { password } });
  expect(answer.status).toBe(200);
  return answer.cookie;
}
const me = async (url: string, cookie: string) => (await call(url, 'GET /api/v1/auth/me', { cookie })).status;

test('the start block shows the address, who can connect, and what is unsafe', async () => {
  const dataDir = newFolder();
  await using server = run({ DATA_DIR: dataDir });
  const url = await server.url();
  const block = server.stdout();
  expect(block).toContain(`${url}/docs`);
  expect(block).toContain(dataDir);
  const { port } = new URL(url);
  expect(block).toContain(`only this machine; for others: HOST=0.0.0.0 PUBLIC_URL=http://nas:${port}\n`);
  expect(block).toContain(main);
  expect(block).toMatch(/WARNING.*admin123/);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with exit code 0, after what is in flight', async (signal) => {
  await using server = run({ DATA_DIR: newFolder() });
  const url = await server.url();
  const inFlight = signIn(url);
  await expect.poll(async () => (await fetch(`${url}/healthz`)).status).toBe(200);
  server.child.kill(signal);
  expect(await inFlight).toContain('backchannel_session=');
  expect(await server.ended).toEqual({ code: 0, signal: null });
});

/** Sends one request after another on its own connection, until the server asks it to close. */
async function burst(url: string, cookie: string, answered: (status: number, path: string) => void) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const requests = [
    ['GET', '/api/v1/auth/me'],
    ['GET', '/api/v1/auth/verify'],
    ['POST', '/api/v1/auth/login', '{"password":"admin123"}'],
    ['GET', '/trpc/auth.me'],
    ['GET', '/readyz'],
  ] as const;
  for (let turn = 0; ; turn++) {
    const [method, path, body] = requests[turn % requests.length] ?? requests[0];
    const headers = { ...(body ? { 'content-type': 'application/json' } : { cookie }) };
    const sent = request(url + path, { method, headers, agent }).end(body);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    await finished(answer.resume());
    if (!answer.complete) throw new Error('half an answer');
    answered(answer.statusCode ?? 0, path);
    if (answer.headers.connection === 'close') return answer.headers['set-cookie'] ?? [];
  }
}

test('SIGTERM in the middle of a burst loses no request, and nothing that was answered', async () => {
  const env = { DATA_DIR: newFolder(), SESSION_MAX_LIVE: '10000' };
  await using server = run(env);
  const url = (await server.url()).replace('localhost', '127.0.0.1');
  const cookie = await signIn(url);
  const statuses: Record<string, Set<number>> = {};
  let count = 0;
  const underWay = Promise.withResolvers<void>();
  const clients = Array.from({ length: 40 }, () =>
    burst(url, cookie, (status, path) => {
      statuses[path] ??= new Set();
      statuses[path].add(status);
      if (++count === 400) underWay.resolve();
    }),
  );
  await Promise.race([underWay.promise, Promise.all(clients)]);
  server.child.kill('SIGTERM');
  // Each of them throws at a connection that ends without the whole answer.
  const last = await Promise.all(clients);
  expect(await server.ended).toEqual({ code: 0, signal: null });
  const { '/api/v1/auth/login': logins, '/readyz': ready, ...others } = statuses;
  for (const each of Object.values(others)) expect([200, 204]).toEqual(expect.arrayContaining([...each]));
  // A burst of sign-ins is more than bcrypt can take; the rest get 503.
  expect([200, 503]).toEqual(expect.arrayContaining([...(logins ?? [])]));
  expect([200, 503]).toEqual(expect.arrayContaining([...(ready ?? [])]));

  await using again = run(env);
  const urlNow = await again.url();
  const sessions = last.flat().filter((line) => line.startsWith('backchannel_session='));
  for (const line of [cookie, ...sessions]) expect(await me(urlNow, line.split(';')[0] ?? '')).toBe(200);
});

test('while it closes it is not ready, and lives', async () => {
  await using server = run({ DATA_DIR: newFolder() });
  const url = (await server.url()).replace('localhost', '127.0.0.1');
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  await once(socket, 'connect');
  const ask = (path: string) => socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  ask('/readyz');
  await expect.poll(() => text).toContain('200 OK');
  server.child.kill('SIGTERM');
  await expect.poll(() => server.stderr()).toContain('SIGTERM: closing');
  ask('/readyz');
  await once(socket, 'close');
  expect(text).toMatch(/503 Service Unavailable.*Connection: close.*\{"status":"closing","missing":\[\]\}$/s);
  expect((await server.ended).code).toBe(0);
});

test('a connection that has never asked for anything is closed before those with a request in flight', async () => {
  await using server = run({ DATA_DIR: newFolder() });
  const port = Number(new URL(await server.url()).port);
  const body = JSON.stringify({ password: 'admin123' });
  const busy = connect(port, '127.0.0.1').setEncoding('utf8');
  let text = '';
  busy.on('data', (data) => {
    text += data;
  });
  busy.write('POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n');
  busy.write(`Content-Length: ${body.length}\r\n\r\n`);
  // As Go's proxies open one too many, and keep it for later.
  const silent = connect(port, '127.0.0.1').resume();
  await once(silent, 'connect');
  await fetch(`http://127.0.0.1:${port}/healthz`);
  server.child.kill('SIGTERM');
  await once(silent, 'close');
  busy.write(body);
  await once(busy, 'close');
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*"authenticated":true/s);
  expect((await server.ended).code).toBe(0);
});

test('a second signal ends it at once, though a request is in flight', async () => {
  await using server = run({ DATA_DIR: newFolder() });
  const url = new URL(await server.url());
  // Half a request: the server waits for the rest of it.
  const socket = connect(Number(url.port), '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write('POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n');
  socket.write('Content-Type: application/json\r\n\r\n{');
  await fetch(new URL('/healthz', url));
  server.child.kill('SIGTERM');
  await expect.poll(() => server.stderr()).toContain('SIGTERM: closing');
  // One keystroke may arrive twice, so a second signal counts when the first is a moment ago.
  const press = () => server.child.kill('SIGTERM') && server.child.exitCode;
  expect(press()).toBeNull();
  await expect.poll(press).not.toBeNull();
  expect(await server.ended).toEqual({ code: 128 + 15, signal: null });
});

test('with --exit-with-parent it ends when the process that started it is gone', async () => {
  const script = `"${process.execPath}" "${main}" --exit-with-parent & echo "server $!"; wait`;
  const env = { PORT: '0', LOG_FORMAT: 'json', DATA_DIR: newFolder() };
  const shell = spawn('sh', ['-c', script], { env });
  let output = '';
  shell.stdout.on('data', (data) => {
    output += data;
  });
  await expect.poll(() => output).toMatch(/URL +http/);
  const pid = Number(/server (\d+)/.exec(output)?.[1]);
  shell.kill('SIGKILL');
  const isAlive = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  await expect.poll(isAlive).toBe(false);
});

test('a session is alive after a stop and after a kill', async () => {
  const env = { DATA_DIR: newFolder() };
  let cookie: string;
  {
    await using server = run(env);
    cookie = await signIn(await server.url());
    server.child.kill('SIGTERM');
    await server.ended;
  }
  {
    await using server = run(env);
    expect(await me(await server.url(), cookie)).toBe(200);
    server.child.kill('SIGKILL');
    await server.ended;
  }
  await using server = run(env);
  expect(await me(await server.url(), cookie)).toBe(200);
});

test('a password that is made at first start is shown once', async () => {
  const env = { DATA_DIR: newFolder(), NODE_ENV: 'production' };
  let password: string;
  {
    await using server = run(env);
    const url = await server.url();
    password = /Password +(\S+)/.exec(server.stdout())?.[1] ?? '';
    await signIn(url, password);
    expect(server.stderr()).not.toContain(password);
  }
  await using server = run(env);
  await signIn(await server.url(), password);
  expect(server.stdout() + server.stderr()).not.toContain(password);
});

test('three bad values are three lines, exit code 1 and no stack', async () => {
  await using server = run({ PORT: 'eighty', SESSION_MAX_DAYS: '-1', ALLOWED_ORIGINS: '*' });
  expect(await server.ended).toEqual({ code: 1, signal: null });
  const lines = server.stderr().trim().split('\n');
  expect(lines).toHaveLength(3);
  for (const [index, name] of ['PORT', 'SESSION_MAX_DAYS', 'ALLOWED_ORIGINS'].entries()) {
    expect(lines[index]).toMatch(new RegExp(`^${name}: .+ Example: ${name}=.+$`));
  }
});

test('an argument that it does not know is refused before anything is made', async () => {
  const cases: [string, RegExp][] = [
    ['--port=8001', /^backchannel-server: unknown argument '--port'; PORT is set as an environment variable or /],
    ['--master-password=hunter2', /'--master-password'; MASTER_PASSWORD is set as (?!.*hunter2)/],
    ['--data-dir', /; DATA_DIR is set as an environment variable or a line of \.env$/],
    ['serve', /^backchannel-server: unknown argument 'serve'; it takes none but --help and --version$/],
    ['', /^backchannel-server: unknown argument ''; it takes none but --help and --version$/],
  ];
  for (const [arg, expected] of cases) {
    const dataDir = join(newFolder(), 'data');
    await using server = run({ DATA_DIR: dataDir }, [arg]);
    expect(await server.ended).toEqual({ code: 2, signal: null });
    expect(server.stderr().trim()).toMatch(expected);
    expect(existsSync(dataDir)).toBe(false);
  }
});

test('--help names every setting with its default, --version the version, and neither starts anything', async () => {
  await using help = run({}, ['--help']);
  expect(await help.ended).toEqual({ code: 0, signal: null });
  expect(help.stdout()).toContain(`${repository}/.env.example\n`);
  const lines = help.stdout().split('\n');
  for (const { name, default: fallback } of settings) {
    expect(lines.map((line) => line.trim().split(/ {2,}/))).toContainEqual(fallback === '' ? [name] : [name, fallback]);
  }
  await using version = run({}, ['-v']);
  expect(await version.ended).toEqual({ code: 0, signal: null });
  expect(version.stdout()).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test.each(['PORT', 'METRICS_PORT'])('a start that finds its %s taken leaves nothing behind', async (name) => {
  const occupied = createServer().listen(0, '127.0.0.1');
  await once(occupied, 'listening');
  const { port } = occupied.address() as AddressInfo;
  // With NODE_ENV=production it makes a password, and shows it this once.
  const env = { DATA_DIR: newFolder(), NODE_ENV: 'production' };
  await using refused = run({ ...env, [name]: String(port) });
  expect((await refused.ended).code).toBe(1);
  expect(readdirSync(env.DATA_DIR)).toEqual([]);
  occupied.close();
  await using server = run(env);
  const url = await server.url();
  const [, password = ''] = /Password +(\S+)/.exec(server.stdout()) ?? [];
  expect(await me(url, await signIn(url, password))).toBe(200);
});

describe.skipIf(process.getuid?.() !== 0)('data of another user (skipped: only root can give it away)', () => {
  const NOBODY = 65_534;

  test.each([
    ['the folder', (folder: string) => chownSync(folder, NOBODY, NOBODY)],
    [
      "a folder of root with another user's database",
      (folder: string) => chownSync(join(folder, 'backchannel.db'), NOBODY, NOBODY),
    ],
  ])('keeps it from starting: %s', async (_which, giveAway) => {
    const env = { DATA_DIR: newFolder() };
    {
      await using first = run(env);
      await first.url();
    }
    giveAway(env.DATA_DIR);
    const before = readdirSync(env.DATA_DIR);
    await using server = run(env);
    expect((await server.ended).code).toBe(1);
    expect(server.stderr()).toBe(
      `DATA_DIR: ${env.DATA_DIR} belongs to another user than ${userInfo().username}, who runs this; run it as that user, or ` +
        `give it the data: sudo chown -R 0:${process.getgid?.()} ${env.DATA_DIR}\n`,
    );
    expect(readdirSync(env.DATA_DIR)).toEqual(before);
  });

  test('a folder that it creates in a folder of theirs is its own', async () => {
    const theirs = newFolder();
    chownSync(theirs, NOBODY, NOBODY);
    await using server = run({ DATA_DIR: join(theirs, 'data') });
    expect(await server.url()).toMatch(/^http/);
  });
});

test('what else keeps it from starting is one sentence, too', async () => {
  const occupied = createServer().listen(0, '127.0.0.1');
  await once(occupied, 'listening');
  const address = occupied.address();
  const port = typeof address === 'object' && address ? String(address.port) : '';
  const file = join(newFolder(), 'file');
  writeFileSync(file, '');
  const keyless = newFolder();
  writeFileSync(join(keyless, 'secret.key'), '');
  const newer = newFolder();
  const store = await openStore({ engine: 'sqlite', file: join(newer, 'backchannel.db') });
  await store.write((em) => em.execute("insert into backchannel_migrations (name) values ('9999-later')", [], 'run'));
  await store[Symbol.asyncDispose]();
  const cases: [Record<string, string>, RegExp][] = [
    [{ DATA_DIR: newer }, /^DATABASE_URL: a newer BackChannel has used \S+ \(9999-later\): run that version/],
    [{ DATA_DIR: newFolder(), METRICS_PORT: port }, /^METRICS_PORT: 127\.0\.0\.1:\d+ is in use; .*METRICS_PORT=\d+$/],
    [{ DATA_DIR: newFolder(), PORT: port }, /^PORT: 127\.0\.0\.1:\d+ is in use; .*PORT=\d+$/],
    [{ DATA_DIR: join(file, 'below') }, /^DATA_DIR: .*cannot be written.*chown -R \d+:\d+ /],
    [{ DATA_DIR: keyless }, /^SECRET_KEY: .*secret\.key is empty; /],
  ];
  for (const [env, expected] of cases) {
    await using server = run(env);
    expect((await server.ended).code).toBe(1);
    expect(server.stderr().trim()).toMatch(expected);
    expect(server.stdout()).toBe('');
  }
  occupied.close();
});
