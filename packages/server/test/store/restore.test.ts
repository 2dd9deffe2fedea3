// What may be put in the place of a database: a backup that is whole, and nothing else.
// Runs on one engine: it is about the file of SQLite.
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openStore } from '../../src/store/database.ts';
import { migrations } from '../../src/store/migrations/index.ts';
import { writeBackup } from '../../src/store/sqlite/backup.ts';
import { CopyError } from '../../src/store/sqlite/copy.ts';
import { restoreBackup } from '../../src/store/sqlite/restore.ts';
import { earlierNames, earlierSql } from '../support/earlier.ts';
import { startServer } from '../support/harness.ts';

function change(path: string, sql: string): void {
  new Sqlite(path).exec(sql).close();
}

test.each<[string, (path: string, has: { backup: string; file: string }) => void, RegExp]>([
  ['a file that does not exist', () => {}, /does not exist\.$/],
  ['a folder', (path) => mkdirSync(path), /is not a file\.$/],
  ['an empty file', (path) => writeFileSync(path, ''), /is not a BackChannel database\.$/],
  ['a text', (path) => writeFileSync(path, 'k'.repeat(9000)), /is not a BackChannel database\.$/],
  ["another program's database", (path) => change(path, 'create table x (y)'), /is not a BackChannel database\.$/],
  [
    'a database with migrations of another program',
    (path) => change(path, "create table migrations (id integer, name text); insert into migrations values (1, 'a')"),
    /is not a BackChannel database\.$/,
  ],
  [
    'half a backup',
    (path, { backup }) => {
      copyFileSync(backup, path);
      truncateSync(path, Math.floor(statSync(path).size / 2));
    },
    /is damaged/,
  ],
  [
    "a newer version's",
    (path, { backup }) => {
      copyFileSync(backup, path);
      change(path, "insert into backchannel_migrations (name) values ('9999-later')");
    },
    /was made by a newer BackChannel \(9999-later\): restore it with that version\.$/,
  ],
  ['the database itself', (path, { file }) => symlinkSync(file, path), /is the database itself\.$/],
])('%s is refused, and nothing is changed', async (_, make, message) => {
  const folder = mkdtempSync(join(tmpdir(), 'backchannel-restore-'));
  const [file, backup, given] = ['data/backchannel.db', 'backup.db', 'given.db'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await (await openStore({ engine: 'sqlite', file }))[Symbol.asyncDispose]();
  writeBackup(file, backup, { secretKey: null, version: '0.0.0', at: 1 });
  make(given, { backup, file });
  const before = readdirSync(join(folder, 'data'));
  const restore = () => restoreBackup(given, file, { stamp: 'x' });
  expect(restore).toThrow(CopyError);
  expect(restore).toThrow(message);
  expect(readdirSync(join(folder, 'data'))).toEqual(before);
  expect(new Sqlite(file).pragma('integrity_check', { simple: true })).toBe('ok');
});

/** Creates a database at each migration that a backup may be of. */
const makers: [string, (file: string) => Promise<void>][] = [
  ...earlierNames.map((level): [string, (file: string) => Promise<void>] => [
    `0.1 at ${level}`,
    async (file) => change(file, earlierSql('sqlite', level)),
  ]),
  ...migrations.map(({ name }): [string, (file: string) => Promise<void>] => [
    `today at ${name}`,
    async (file) => {
      await using store = await openStore({ engine: 'sqlite', file });
      await store.orm.migrator.down({ to: name });
    },
  ]),
];

test.each(makers)('a server starts on the restored backup of a database of %s', async (title, make) => {
  const folder = mkdtempSync(join(tmpdir(), 'backchannel-restored-'));
  const [file, backup] = [join(folder, 'then.db'), join(folder, 'backup.db')];
  await make(file);
  writeBackup(file, backup, { secretKey: 'k'.repeat(40), version: '0.1.0', at: 1 });
  if (title.startsWith('0.1')) change(backup, 'alter table backchannel_backup rename to backup');
  const dataDir = join(folder, 'data');
  const { secretKey } = restoreBackup(backup, join(dataDir, 'backchannel.db'), { stamp: 'x' });
  expect(secretKey).toBe('k'.repeat(40));
  await using server = await startServer({}, { dataDir });
  const client = server.client();
  expect((await client.signIn()).status).toBe(200);
  expect((await client.rest('GET', '/auth/sessions')).body.sessions).toHaveLength(1);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
});
