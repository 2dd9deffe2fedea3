// `migrate-to`: from the data of a server to an empty PostgreSQL database, and a server on that.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '@backchannel/server/store';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openElsewhere } from '../../server/test/support/elsewhere.ts';
import { openTestDatabase } from '../../server/test/support/harness.ts';
import { type LiveServer, serverEnv, startServer } from './live-server.ts';
import { makeHome } from './run.ts';

const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

const eventsOf = async (server: LiveServer, headers: Record<string, string>) =>
  (await server.call('GET', '/auth/events?limit=100', { headers })).body.events;

test('everything is moved: sessions stay valid, and the password, tokens, waits and events are there', async () => {
  await using database = await openTestDatabase({ isEmpty: true });
  using home = makeHome({ '.env': serverEnv });
  const file = join(home.root, 'data/backchannel.db');
  let headers: Record<string, string>;
  let secret = '';
  let before: unknown[];
  {
    await using server = await startServer(home);
    ({ headers } = await server.signIn());
    const body = { name: 'a script', scope: 'full' };
    secret = (await server.call('POST', '/auth/tokens', { headers, body })).body.secret;
    await server.tryPassword('wrong');
    const change = { current: 'admin123', new: 'a password of my own' };
    const { status, cookie } = await server.call('POST', '/auth/password', { headers, body: change });
    expect(status).toBe(200);
    headers = { cookie };
    before = await eventsOf(server, headers);
    await server.stop();
  }
  // More rows than fit into one statement.
  const db = new Sqlite(file);
  const insert = db.prepare(`insert into backchannel_events (id, at, type) values (?, ?, 'logout')`);
  for (let n = 0; n < 1234; n++) insert.run(`000000000${String(n).padStart(15, '0')}`, n);
  db.close();
  const untouched = digest(file);

  const { stdout, stderr, exitCode } = await home.run(['migrate-to'], { input: `${database.url}\n` });
  expect({ stderr, exitCode }).toMatchObject({ exitCode: 0 });
  expect(stdout).toMatch(/^postgresql:\/\/postgres@\S+: 1 row of sessions, 1\d{3} rows of events, .*1 row of tokens/);
  const key = join(home.root, 'data/secret.key');
  expect(stderr).toContain(`SECRET_KEY=…  (the content of ${key}), or SECRET_KEY_FILE=${key}`);
  const password = new URL(database.url).password;
  expect(stdout + stderr).not.toContain(password);
  expect(stdout + stderr).not.toContain(readFileSync(key, 'utf8').trim());
  expect(digest(file)).toBe(untouched);

  const env = { DATABASE_URL: database.url, SECRET_KEY_FILE: key };
  await using moved = await startServer(home, { env });
  expect(await moved.statusFor(headers)).toBe(200);
  expect(await moved.statusFor({ authorization: `Bearer ${secret}` })).toBe(200);
  expect(await moved.tryPassword('a password of my own')).toBe(200);
  expect(await moved.tryPassword('admin123')).toBe(401);
  const after = await eventsOf(moved, headers);
  expect(after.filter(({ at }: { at: string }) => at > '2000').slice(-before.length)).toEqual(before);
  await using other = await openElsewhere(database);
  expect(await other.run('select count(*) as n from backchannel_events where at < 1234')).toEqual([{ n: 1234 }]);

  // The command line works on PostgreSQL, too.
  const sessions = await home.run(['sessions', 'list', '--json'], { env });
  expect(JSON.parse(sessions.stdout).sessions).toHaveLength(2);
  const checked = await home.run(['check-config'], { env });
  expect(checked).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('all migrations are applied') });
  expect(await home.run(['backup', 'x.db'], { env })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(
      /^This command is for SQLite, but the database is postgresql:\/\/postgres@\S+\. .*pg_dump/,
    ),
  });
  await moved.stop();

  // A server with another key is rejected from the start, and one without a key does not start.
  const otherKey = { DATABASE_URL: database.url, SECRET_KEY: 'another-key-for-tests-of-the-command-line' };
  expect(await home.run(['check-config'], { env: otherKey })).toMatchObject({
    exitCode: 1,
    stdout: expect.stringMatching(/^fault {3}SECRET_KEY: none of its keys is one that/m),
  });
  const rejected = startServer(home, { env: otherKey });
  await expect(rejected).rejects.toThrow(/SECRET_KEY: none of its keys is one that/);
  const keyless = startServer(home, { env: { DATABASE_URL: database.url } });
  await expect(keyless).rejects.toThrow(/SECRET_KEY: is not set, and with PostgreSQL it has to be/);
});

test('a move that is not possible gives one sentence, and nothing is moved', async () => {
  await using database = await openTestDatabase();
  using home = makeHome({ '.env': serverEnv });
  const file = join(home.root, 'data/backchannel.db');
  const refused = async (args: string[], code = 1) => {
    const { stdout, stderr, exitCode } = await home.run(['migrate-to', ...args]);
    expect({ stdout, exitCode }, stderr).toEqual({ stdout: '', exitCode: code });
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).not.toContain(new URL(database.url).password);
    return stderr;
  };
  expect(await refused([database.url])).toMatch(/^There is no database at .*, so there is nothing to move\.$/m);
  {
    await using server = await startServer(home);
    expect(await refused([database.url])).toMatch(/backchannel\.db is in use: stop the server and/);
    await server.stop();
  }
  expect(await refused([], 2)).toMatch(/needs a postgresql:\/\/ URL/);
  expect(await refused(['sqlite:x.db'], 2)).toMatch(/needs a postgresql:\/\/ URL/);
  expect(await refused([database.url.replace('?', '?sslmod=x&')], 2)).toMatch(/unknown parameter/);
  expect(await refused([database.url.replace(/\/[^/]*$/, '/nowhere')])).toMatch(/there is no database "nowhere"/);

  await using other = await openElsewhere(database);
  await other.run("insert into backchannel_events (id, at, type) values ('e', 1, 'logout')");
  expect(await refused([database.url])).toMatch(/is not empty \(events: 1\): use an empty database/);
  await other.run('delete from backchannel_events');

  // Fails in the middle of the move: PostgreSQL can't store this value.
  const edit = (change: (db: Sqlite.Database) => void) => {
    const db = new Sqlite(file);
    change(db);
    db.close();
  };
  edit((db) => {
    db.exec(`insert into backchannel_events (id, at, type) values ('good', 1, 'logout')`);
    db.prepare(`insert into backchannel_events (id, at, type, detail) values ('bad', 2, 'logout', ?)`).run('a\0b');
  });
  expect(await refused([database.url])).toMatch(/^Could not move .*: invalid byte sequence.* Nothing was moved\.\n$/);
  expect(await other.run('select * from backchannel_events')).toEqual([]);
  edit((db) => db.exec("delete from backchannel_events where id = 'bad'"));
  {
    await using store = await openStore({ engine: 'sqlite', file });
    await store.orm.migrator.down();
  }
  expect(await refused([database.url])).toMatch(/was written by an older BackChannel: start this version on it once/);
});

test('--json has the row count of every table, and the settings to change', async () => {
  await using database = await openTestDatabase();
  using home = makeHome({
    '.env': `${serverEnv}SECRET_KEY=a-third-key-for-tests-of-the-command-line\nMASTER_PASSWORD=a password\n`,
  });
  await using server = await startServer(home);
  await server.signIn('a password');
  await server.stop();
  const { stdout, exitCode } = await home.run(['migrate-to', database.url, '--json']);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    from: join(home.root, 'data/backchannel.db'),
    to: expect.stringMatching(/^postgresql:\/\/postgres@/),
    rows: { sessions: 1, events: 2, passwords: 1, devices: 1, tokens: 0, throttle: 1 },
    isOutdated: false,
    next: ['DATABASE_URL=…  (the URL that you gave)', 'SECRET_KEY, unchanged', 'MASTER_PASSWORD, unchanged'],
    warnings: [expect.stringMatching(/^A URL as an argument stays in the shell history/)],
  });
});
