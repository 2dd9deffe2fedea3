// backup and restore: beside a running server, on another machine, and with files that are not backups.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasPrivateDisks, openPrivateDisk } from '../../server/test/support/private-disk.ts';
import { type LiveServer, serverEnv, spawnServer, startServer } from './live-server.ts';
import { checkout, environment, type Home, makeHome, type Run } from './run.ts';

const databaseOf = ({ root }: Home) => join(root, 'data/backchannel.db');

/** Runs a command that must succeed, and returns its JSON object. */
async function done(home: Home, ...args: string[]) {
  return objectOf(await home.run([...args, '--json']));
}

function objectOf({ stdout, stderr, exitCode }: Run) {
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  return JSON.parse(stdout);
}

/** Expects exit code 1 and a sentence, and returns the sentence. */
async function refused(home: Home, ...args: string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await home.run(args);
  expect({ stdout, exitCode }, stderr).toEqual({ stdout: '', exitCode: 1 });
  expect(stderr).toMatch(/^[^\n]+\.\n$/);
  return stderr.trimEnd();
}

async function makeToken(server: LiveServer, headers: Record<string, string>) {
  const { body } = await server.call('POST', '/auth/tokens', { headers, body: { name: 'x', scope: 'full' } });
  return { id: body.token.id as string, headers: { authorization: `Bearer ${body.secret}` } };
}

test('a backup beside a busy server restores the state at the time of the backup', async () => {
  using home = checkout({ '.env': serverEnv });
  const backup = join(home.root, 'backup.db');
  {
    await using server = await spawnServer(home);
    const { headers } = await server.signIn();
    const token = await makeToken(server, headers);
    let isOver = false;
    const statuses = new Set<number>();
    const browse = async () => {
      while (!isOver)
        statuses.add((await server.call('POST', '/auth/login', { body: { password: 'admin123' } })).status);
    };
    const browsing = [browse(), browse()];
    const made = objectOf(await home.spawn(['backup', backup, '--json']));
    isOver = true;
    await Promise.all(browsing);
    expect([...statuses]).toEqual([200]);
    expect(made).toMatchObject({
      file: backup,
      schema: expect.stringMatching(/^\d{4}-\w+$/),
      pending: [],
      tokens: 1,
      hasSecretKey: true,
    });
    expect(made.sessions).toBeGreaterThan(0);
    expect(made.events).toBeGreaterThan(2);
    if (process.platform !== 'win32') expect(statSync(backup).mode & 0o777).toBe(0o600);
    const later = await server.signIn();

    expect(await refused(home, 'restore', backup)).toBe(
      `${databaseOf(home)} is in use: stop the server and any other program that has it open.`,
    );
    expect(await server.statusFor(later.headers)).toBe(200);
    await server.stop();

    const { replaced, ...restored } = await done(home, 'restore', backup);
    expect(restored).toMatchObject({ file: databaseOf(home), sessions: made.sessions, tokens: 1, events: made.events });
    expect(replaced).toMatch(/backchannel\.db\.replaced-\d{8}T\d{9}Z$/);
    await using again = await startServer(home);
    expect(await again.statusFor(headers)).toBe(200);
    expect(await again.statusFor(token.headers)).toBe(200);
    expect(await again.statusFor(later.headers)).toBe(401);
    const rows = (file: string) => {
      const db = new Sqlite(file, { readonly: true });
      const counts = ['backchannel_sessions', 'backchannel_events'].map((table) =>
        db.prepare(`select count(*) from ${table}`).pluck().get(),
      );
      db.close();
      return counts;
    };
    expect(rows(replaced)).not.toEqual(rows(backup));
  }
  expect(readdirSync(join(home.root, 'data')).filter((name) => /\.\d+\.[0-9a-f]{8}/.test(name))).toEqual([]);
});

test('a backup can be restored after the server was killed', async () => {
  using home = checkout({ '.env': serverEnv });
  const backup = join(home.root, 'backup.db');
  {
    await using server = await spawnServer(home);
    await server.signIn();
    await done(home, 'backup', backup);
  }
  expect(existsSync(`${databaseOf(home)}-wal`)).toBe(true);
  expect(await done(home, 'restore', backup)).toMatchObject({ sessions: 1 });
  expect(existsSync(`${databaseOf(home)}-wal`)).toBe(false);
});

test('a backup is enough to restore on another machine', async () => {
  using home = makeHome({ '.env': serverEnv });
  using other = makeHome({ '.env': serverEnv });
  const backup = join(home.root, 'backup.db');
  await using server = await startServer(home);
  const { headers } = await server.signIn();
  const token = await makeToken(server, headers);
  await done(home, 'backup', backup);

  const { replaced, isKeyRestored } = await done(other, 'restore', backup);
  expect({ replaced, isKeyRestored }).toEqual({ replaced: null, isKeyRestored: true });
  const key = (at: Home) => readFileSync(join(at.root, 'data/secret.key'), 'utf8');
  expect(key(other)).toBe(key(home));
  // The key is in the backup, and not in the restored database.
  expect(readFileSync(backup, 'latin1')).toContain(key(home).trim());
  expect(readFileSync(databaseOf(other), 'latin1')).not.toContain(key(home).trim());
  {
    await using moved = await startServer(other);
    expect(await moved.statusFor(headers)).toBe(200);
    expect(await moved.statusFor(token.headers)).toBe(200);
    await moved.stop();
  }
  // On a machine where a server has run, its old key is kept too.
  using third = makeHome({ '.env': serverEnv });
  await using fresh = await startServer(third);
  await fresh.stop();
  const own = key(third);
  await done(third, 'restore', backup);
  expect(key(third)).toBe(key(home));
  const kept = readdirSync(join(third.root, 'data')).find((name) => name.startsWith('secret.key.replaced-'));
  expect(readFileSync(join(third.root, 'data', kept ?? ''), 'utf8')).toBe(own);
});

test('if SECRET_KEY is set, the backup has no key and says so', async () => {
  using home = makeHome({ '.env': `${serverEnv}SECRET_KEY=another-key-for-tests-of-the-command-line\n` });
  await using server = await startServer(home);
  await server.stop();
  const { stdout } = await home.run(['backup', 'backup.db']);
  expect(stdout).toMatch(/, without a key \(SECRET_KEY is set: keep a copy of it, too\)\n$/);
  const { stderr, exitCode } = await home.run(['restore', 'backup.db']);
  expect(exitCode).toBe(0);
  expect(stderr).toContain('The backup has no key. Its sessions stay valid only with the SECRET_KEY');
  expect(existsSync(join(home.root, 'data/secret.key'))).toBe(false);
});

test('what was revoked after the backup stays revoked', async () => {
  using home = makeHome({ '.env': serverEnv });
  await using server = await startServer(home);
  const [kept, revoked, out] = [await server.signIn(), await server.signIn(), await server.signIn()];
  const [keptToken, revokedToken] = [await makeToken(server, kept.headers), await makeToken(server, kept.headers)];
  await done(home, 'backup', 'backup.db');
  await server.call('DELETE', `/auth/sessions/${revoked.id}`, { headers: kept.headers });
  await server.call('DELETE', `/auth/tokens/${revokedToken.id}`, { headers: kept.headers });
  await server.call('POST', '/auth/logout', { headers: out.headers });
  await server.stop();

  const { exitCode, stderr } = await home.run(['restore', 'backup.db']);
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining('Ended since the backup, and still ended: 3 sessions or tokens.'),
  });
  await using again = await startServer(home);
  const status = ({ headers }: { headers: Record<string, string> }) => again.statusFor(headers);
  expect(await Promise.all([kept, keptToken].map(status))).toEqual([200, 200]);
  expect(await Promise.all([revoked, out, revokedToken].map(status))).toEqual([401, 401, 401]);
});

test('sessions from before a password change stay ended, and a warning says that the old password is in effect', async () => {
  using home = makeHome({ '.env': serverEnv });
  await using server = await startServer(home);
  const before = await server.signIn();
  await done(home, 'backup', 'backup.db');
  await server.call('POST', '/auth/password', {
    headers: before.headers,
    body: { current: 'admin123', new: 'another long password' },
  });
  await server.stop();
  const { stderr } = await home.run(['restore', 'backup.db']);
  expect(stderr).toContain('The password was changed after the backup. The old password is in effect again.');
  await using again = await startServer(home);
  expect(await again.statusFor(before.headers)).toBe(401);
  expect(await again.tryPassword('admin123')).toBe(200);
});

describe('with one backup', () => {
  const home = checkout({ '.env': serverEnv });
  const backup = join(home.root, 'backup.db');
  const file = databaseOf(home);
  afterAll(() => home[Symbol.dispose]());
  beforeAll(async () => {
    await using server = await startServer(home);
    await server.signIn();
    await server.stop();
    await done(home, 'backup', backup);
  });

  test('no file is overwritten without --force, and the files of the server never are', async () => {
    const other = join(home.root, 'other.txt');
    writeFileSync(other, 'mine');
    expect(await refused(home, 'backup', other)).toBe(
      `${other} already exists; name another file, or overwrite it with --force.`,
    );
    expect(readFileSync(other, 'utf8')).toBe('mine');
    await done(home, 'backup', other, '--force');
    expect((await done(home, 'restore', other)).sessions).toBe(1);

    symlinkSync(file, join(home.root, 'link.db'));
    for (const path of [file, `${file}-wal`, join(home.root, 'data/secret.key'), join(home.root, 'link.db')]) {
      expect(await refused(home, 'backup', path, '--force')).toBe(
        `${path} belongs to the server itself; name another file.`,
      );
    }
    expect(await refused(home, 'backup', home.root, '--force')).toBe(`${home.root} is a folder; name a file in it.`);
    const nowhere = join(home.root, 'nowhere');
    expect(await refused(home, 'backup', join(nowhere, 'x.db'))).toBe(`The folder ${nowhere} does not exist.`);
    expect((await home.run(['backup'])).exitCode).toBe(2);
    expect((await home.run(['restore'])).exitCode).toBe(2);
  });

  test.skipIf(!hasPrivateDisks)('a full disk gets no partial backup (skipped without private mounts)', async () => {
    using disk = openPrivateDisk();
    const line = `"${process.execPath}" ${home.bin} backup ${disk.folder}/backup.db; code=$?; ls ${disk.folder}; exit $code`;
    const child = disk.run('size=64k', line, {});
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (data) => {
        output[name] += data;
      });
    }
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(output).toEqual({ stdout: '', stderr: `There is not enough space in ${disk.folder}.\n` });
  });

  const change = (path: string, sql: string) => {
    const db = new Sqlite(path);
    db.exec(sql);
    db.close();
  };
  test('a file that is not a backup is rejected, and nothing changes', async () => {
    const given = join(home.root, 'given.db');
    const before = [readdirSync(join(home.root, 'data')), readFileSync(file)];
    expect(await refused(home, 'restore', given)).toBe(`${given} does not exist.`);
    writeFileSync(given, 'k'.repeat(9000));
    expect(await refused(home, 'restore', given)).toBe(`${given} is not a BackChannel database.`);
    expect([readdirSync(join(home.root, 'data')), readFileSync(file)]).toEqual(before);
  });

  test('a restore that is killed at any moment leaves either the old database or the new one, complete', async () => {
    const count = () => {
      const db = new Sqlite(file);
      expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
      const sessions = Number(
        db.prepare('select count(*) from backchannel_sessions where ended_at is null').pluck().get(),
      );
      db.close();
      return sessions;
    };
    const codes: unknown[] = [];
    for (let kill = 0; kill < 5; kill++) {
      change(file, 'update backchannel_sessions set ended_at = 1');
      expect(count()).toBe(0);
      let changes = 0;
      const child = spawn(process.execPath, [home.bin, 'restore', backup], { cwd: home.root, env: environment });
      // Each run is killed a little later.
      const watcher = watch(join(home.root, 'data'), () => {
        if (changes++ === kill * 2) child.kill('SIGKILL');
      });
      const [code] = await once(child, 'close');
      watcher.close();
      codes.push(code);
      expect(code === 0 ? [1] : [0, 1]).toContain(count());
    }
    // On a slow machine some kills may come too late, but not all of them.
    expect(codes).toContain(null);
    expect((await done(home, 'restore', backup)).sessions).toBe(1);
  });

  test.each<[string, number]>([
    ['from its first byte', 0],
    ['after its header', 100],
  ])(
    'a database that is damaged %s is replaced, with a warning about revocations that may be lost',
    async (_, from) => {
      const bytes = readFileSync(file);
      writeFileSync(file, bytes.fill('k', from));
      writeFileSync(`${file}-wal`, 'k'.repeat(9000));
      const { replaced, sessions, warnings } = await done(home, 'restore', backup);
      expect(sessions).toBe(1);
      expect(warnings).toEqual([
        expect.stringMatching(/Sessions and tokens that were revoked after the backup may be live again/),
      ]);
      expect(readFileSync(replaced, 'utf8')).toMatch(/k{9000}/);
      await using server = await startServer(home);
      await server.signIn();
      await server.stop();
    },
  );
});
