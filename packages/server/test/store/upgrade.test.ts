// A database of another version: an older one is copied before it is migrated, a newer one is refused with the way back.
// Runs on one engine: it is about the file of SQLite.
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openStore } from '../../src/store/database.ts';
import { EventEntity } from '../../src/store/entities.ts';
import { migrations } from '../../src/store/migrations/index.ts';
import { restoreBackup } from '../../src/store/sqlite/restore.ts';
import { UpgradeError } from '../../src/store/unavailable.ts';
import { anEvent } from '../support/an-event.ts';

const newFile = () => join(mkdtempSync(join(tmpdir(), 'backchannel-upgrade-')), 'backchannel.db');
const names = migrations.map(({ name }) => name);
const [earlier, latest] = [names.slice(0, -1), names.at(-1)];
const open = (file: string) => openStore({ engine: 'sqlite', file });
const copiesOf = (file: string) => readdirSync(join(file, '../backups')).toSorted();

/** Takes the last migration back, as if an older version had been at work. */
async function age(file: string): Promise<void> {
  await using store = await open(file);
  await store.orm.migrator.down();
}

async function makeOlder(file: string): Promise<void> {
  {
    await using store = await open(file);
    await store.write((em) => em.insert(EventEntity, { ...anEvent, id: 'from before' }));
  }
  await age(file);
}

test('a new database is not copied, and neither is one without pending migrations', async () => {
  const file = newFile();
  for (const _ of [1, 2]) {
    await using store = await open(file);
    expect(await store.missing()).toEqual([]);
  }
  expect(readdirSync(join(file, '..'))).not.toContain('backups');
});

test('an older database is copied before it is migrated, and the copy can be restored', async () => {
  const file = newFile();
  await makeOlder(file);
  {
    await using store = await open(file);
    expect(await store.missing()).toEqual([]);
  }
  const [name = '', ...others] = copiesOf(file);
  expect(others).toEqual([]);
  expect(name).toMatch(new RegExp(`^before-${latest}-\\d{8}T\\d{9}Z\\.db$`));
  const copy = join(file, '../backups', name);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  expect(statSync(join(copy, '..')).mode & 0o777).toBe(0o700);
  expect(restoreBackup(copy, file, { stamp: 'x' })).toMatchObject({ schema: earlier.at(-1), pending: [latest] });
  await using store = await open(file);
  expect(await store.read((em) => em.count(EventEntity, { id: 'from before' }))).toBe(1);
});

test('the last three copies are kept, and nothing else is touched', async () => {
  const file = newFile();
  await makeOlder(file);
  await using store = await open(file);
  const [first = ''] = copiesOf(file);
  await store[Symbol.asyncDispose]();
  const folder = join(file, '../backups');
  const names = ['20200101', '20210101', '20220101'].map((day) => `before-0001-seed-${day}T000000000Z.db`);
  for (const name of [...names, 'my own.db']) new Sqlite(join(folder, name)).exec('create table x (y)').close();
  await age(file);
  await using again = await open(file);
  expect(await again.missing()).toEqual([]);
  const kept = copiesOf(file);
  expect(kept).toHaveLength(4);
  expect(kept).toEqual(expect.arrayContaining(['my own.db', names[2], first]));
});

test('several starters on one older database: it is migrated once, and every copy is of what it was', async () => {
  const file = newFile();
  await makeOlder(file);
  const stores = await Promise.all([1, 2, 3].map(() => open(file)));
  for (const store of stores) {
    expect(await store.missing()).toEqual([]);
    await store[Symbol.asyncDispose]();
  }
  for (const name of copiesOf(file)) {
    const db = new Sqlite(join(file, '../backups', name), { readonly: true });
    expect(db.prepare('select name from backchannel_migrations').pluck().all()).toEqual(earlier);
    db.close();
  }
});

test('a database that a newer version was at work on is refused, with the way back', async () => {
  const file = newFile();
  await makeOlder(file);
  await (await open(file))[Symbol.asyncDispose]();
  const [name] = copiesOf(file);
  const db = new Sqlite(file);
  db.exec("insert into backchannel_migrations (name) values ('9999-later')");
  db.close();
  const refusal = await open(file).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(UpgradeError);
  expect(String(refusal)).toContain(
    `a newer BackChannel has used ${file} (9999-later): run that version or a newer one, ` +
      `or go back to the earlier copy: ./backchannel restore ${join(file, '../backups', name ?? '')}`,
  );
});

test('where no copy can be made, nothing is migrated and a sentence says why', async () => {
  const file = newFile();
  await makeOlder(file);
  // A file is in the folder's way.
  new Sqlite(join(file, '../backups')).exec('create table x (y)').close();
  await expect(open(file)).rejects.toThrow(
    new RegExp(`^DATABASE_URL: .* must be copied to .*backups before ${latest} `),
  );
  const db = new Sqlite(file);
  expect(db.prepare('select name from backchannel_migrations').pluck().all()).toEqual(earlier);
  db.close();
});
