// What can fail below a server, and how it reacts: it responds in time and in words, does not end, and recovers without help.
// Runs on one engine: it is about the file of SQLite; faults.postgresql.test.ts is the other half.
import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { type Answer, PASSWORD, sqliteFile, startServer, type TestServer } from '../support/harness.ts';
import { fillDisk, hasPrivateDisks, openPrivateDisk, seenFromOutside } from '../support/private-disk.ts';
import { call, follow, login, main, untilServing } from '../support/server-process.ts';

function expectWhole(file: string): void {
  const db = new Sqlite(file);
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  db.close();
}

describe('the database file away', () => {
  const expectAway = ({ status, headers, body }: Answer) => {
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'SERVICE_UNAVAILABLE', '2']);
  };
  const readyz = async (server: TestServer) => {
    const answer = await fetch(`${server.url}/readyz`);
    return [answer.status, await answer.json()];
  };

  /** Everything is refused for want of the database, and nothing that would be lost is promised. */
  async function expectAllAway(server: TestServer, cookie: string): Promise<void> {
    const client = server.client();
    client.cookie = cookie;
    for (const [method, path, body] of [
      ['GET', '/auth/me'],
      ['GET', '/auth/sessions'],
      ['GET', '/auth/verify'],
      ['POST', '/auth/login', { password: PASSWORD }],
      ['DELETE', '/auth/sessions'],
      ['POST', '/auth/logout'],
    ] as const) {
      client.cookie = cookie;
      expectAway(await client.rest(method, path, body));
    }
    expect(await readyz(server)).toEqual([503, { status: 'unavailable', missing: ['database'] }]);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  }

  test('it is noticed at the next request, and all is well when it is put back', async () => {
    await using server = await startServer();
    const file = sqliteFile(server);
    const client = server.client();
    await client.signIn();
    renameSync(file, `${file}.away`);
    server.advance(1000);
    await expectAllAway(server, client.cookie);
    renameSync(`${file}.away`, file);
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
    expect((await server.client().signIn()).status).toBe(200);
    expect(await readyz(server)).toEqual([200, { status: 'ok', missing: [] }]);
  });

  test('another file in its place is not written to, and the next start takes it', async () => {
    await using server = await startServer();
    const file = sqliteFile(server);
    const client = server.client();
    await client.signIn();
    const copy = `${file}.copy`;
    new Sqlite(file).exec(`vacuum into '${copy}'`).close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix);
    cpSync(copy, file);
    server.advance(1000);
    await expectAllAway(server, client.cookie);
    await server.restart();
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });

  test('a server whose file is gone still ends in order', async () => {
    const server = await startServer();
    await server.client().signIn();
    rmSync(sqliteFile(server));
    await server[Symbol.asyncDispose]();
  });
});

describe.skipIf(!hasPrivateDisks)('a disk (skipped where a process may not mount its own)', () => {
  const environment = (folder: string) => ({
    PORT: '0',
    LOG_FORMAT: 'json',
    BCRYPT_COST: '10',
    DATA_DIR: join(folder, 'data'),
  });
  const serve = `exec "${process.execPath}" "${main}"`;

  test('that is full: what writes is 503, what reads goes on, and nothing is lost or broken when there is room', async () => {
    using disk = openPrivateDisk();
    const child = disk.run('size=8m', serve, environment(disk.folder));
    await using server = await untilServing(follow(child));
    const { url, stderr } = server;
    const folder = seenFromOutside(child, disk.folder);
    const { cookie } = await login(url);
    const filler = fillDisk(folder);
    // What the write-ahead log has room for is taken without the disk: until it is used up.
    const answers = [];
    for (let tries = 0; tries < 200 && answers.at(-1)?.status !== 503; tries++) answers.push(await login(url));
    expect(answers.at(-1)).toMatchObject({ status: 503, retryAfter: '2', cookie: '' });
    for (const { status } of answers.slice(0, -1)) expect(status).toBe(200);
    expect((await call(url, 'GET /api/v1/auth/me', { cookie })).status).toBe(200);
    expect((await call(url, 'GET /api/v1/auth/verify', { cookie })).status).toBe(204);
    expect((await call(url, 'GET /healthz')).status).toBe(200);
    expect(stderr()).toContain('database or disk is full');

    filler.free();
    expect((await login(url)).status).toBe(200);
    for (const { cookie: other } of answers.slice(0, -1)) {
      expect((await call(url, 'GET /api/v1/auth/me', { cookie: other })).status).toBe(200);
    }
    // SQLite follows links, and this one leads out of the namespace: a copy is looked at, with nobody at work.
    const copy = mkdtempSync(join(tmpdir(), 'backchannel-copy-'));
    for (const name of ['backchannel.db', 'backchannel.db-wal']) cpSync(join(folder, 'data', name), join(copy, name));
    expectWhole(join(copy, 'backchannel.db'));
    rmSync(copy, { recursive: true });
    expect(await server.end('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  test.each([
    [
      'that is read-only',
      'size=1m,ro',
      'true',
      /^DATA_DIR: \S+ is on a read-only file system; mount it writable, or set DATA_DIR/,
    ],
    [
      'without room for the database',
      'size=64k',
      'true',
      /^DATABASE_URL: the database cannot be used: database or disk is full$/,
    ],
    ['without room for the key', 'size=8k', 'head -c 4096 /dev/zero > filler', /^(SECRET_KEY|DATABASE_URL): .*$/],
  ])('%s keeps it from starting, in one sentence', async (_, options, before, message) => {
    using disk = openPrivateDisk();
    const child = disk.run(options, `cd ${disk.folder} && ${before}; ${serve}`, environment(disk.folder));
    const failure = await untilServing(follow(child)).catch((error: Error) => error);
    expect(failure).toBeInstanceOf(Error);
    expect((failure as Error).message.trim()).toMatch(message);
    expect((failure as Error).message.trim().split('\n')).toHaveLength(1);
  });
});
