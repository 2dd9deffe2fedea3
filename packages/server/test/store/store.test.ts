// Runs on one engine: it is about the file of SQLite; store.postgresql.test.ts is the other half.
import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { type EntityManager, openStore, StoreUnavailableError } from '../../src/store/database.ts';
import { EventEntity } from '../../src/store/entities.ts';
import { anEvent } from '../support/an-event.ts';
import { loadedBy } from '../support/loaded.ts';

const newFile = () => join(mkdtempSync(join(tmpdir(), 'backchannel-store-')), 'folder', 'test.db');

test('the migrations make exactly the schema that the entities describe', async () => {
  await using store = await openStore({ engine: 'sqlite', file: newFile() });
  expect(await store.orm.schema.getUpdateSchemaSQL()).toBe('');
  expect(await store.missing()).toEqual([]);
});

test('the file and its folder are private', async () => {
  const file = newFile();
  await using store = await openStore({ engine: 'sqlite', file });
  await store.write((em) => em.insert(EventEntity, anEvent));
  const mode = (path: string) => statSync(path).mode & 0o777;
  expect(mode(join(file, '..'))).toBe(0o700);
  expect([file, `${file}-wal`, `${file}-shm`].map(mode)).toEqual([0o600, 0o600, 0o600]);
});

test('nothing of PostgreSQL is loaded for it', async () => {
  expect(await loadedBy({ engine: 'sqlite', file: newFile() }, ['pg', 'better-sqlite3'])).toEqual(['better-sqlite3']);
});

test('several starters on one empty database migrate it once', async () => {
  const file = newFile();
  const stores = await Promise.all([1, 2, 3, 4].map(() => openStore({ engine: 'sqlite', file })));
  for (const store of stores) {
    expect(await store.missing()).toEqual([]);
    await store[Symbol.asyncDispose]();
  }
});

test('each write waits for the disk, unless it may be lost to a power failure; one does not change the next', async () => {
  await using store = await openStore({ engine: 'sqlite', file: newFile() });
  const NORMAL = 1;
  const FULL = 2;
  const level = async (em: EntityManager) =>
    (await em.execute<{ synchronous: number }[]>('pragma synchronous'))[0]?.synchronous;
  expect(await store.write(level)).toBe(FULL);
  expect(await Promise.all([store.write(level, { durable: false }), store.write(level)])).toEqual([NORMAL, FULL]);
  await expect(
    store.write(
      async () => {
        throw new Error('on purpose');
      },
      { durable: false },
    ),
  ).rejects.toThrow('on purpose');
  expect(await store.write(level)).toBe(FULL);
});

test('a write waits for another process that is writing', async () => {
  const file = newFile();
  await using store = await openStore({ engine: 'sqlite', file });
  const other = new Sqlite(file);
  other.exec('begin immediate');
  let isWritten = false;
  const writing = store
    .write((em) => em.insert(EventEntity, anEvent))
    .finally(() => {
      isWritten = true;
    });
  // The event loop is free meanwhile: better-sqlite3 would wait synchronously, for longer than the store is willing to.
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  expect(isWritten).toBe(false);
  other.exec('commit');
  await writing;
  expect(await store.read((em) => em.count(EventEntity))).toBe(1);
  other.close();
});

test('a write that never gets its turn fails in time, and the store works on', { timeout: 10_000 }, async () => {
  const file = newFile();
  await using store = await openStore({ engine: 'sqlite', file });
  const other = new Sqlite(file);
  other.exec('begin immediate');
  await expect(store.write((em) => em.insert(EventEntity, anEvent))).rejects.toThrow(StoreUnavailableError);
  expect(await store.read((em) => em.count(EventEntity))).toBe(0);
  other.exec('rollback');
  await store.write((em) => em.insert(EventEntity, anEvent));
  expect(await store.read((em) => em.count(EventEntity))).toBe(1);
  other.close();
});

test('without room a write fails, what is read goes on, and the next write succeeds when there is room', async () => {
  await using store = await openStore({ engine: 'sqlite', file: newFile() });
  const limit = (pages: number | string) => store.read((em) => em.execute(`pragma max_page_count = ${pages}`));
  const write = (id: string) =>
    store.write((em) => em.insert(EventEntity, { ...anEvent, id, detail: 'x'.repeat(9000) }));
  await write('first');
  await limit(1);
  for (const id of ['second', 'third', 'fourth']) await expect(write(id)).rejects.toThrow(StoreUnavailableError);
  expect(await store.read((em) => em.count(EventEntity))).toBe(1);
  await limit(1_000_000);
  await write('fifth');
  expect(await store.read((em) => em.count(EventEntity))).toBe(2);
});

test('a transaction that throws leaves nothing behind', async () => {
  await using store = await openStore({ engine: 'sqlite', file: newFile() });
  const failing = store.write(async (em) => {
    await em.insert(EventEntity, anEvent);
    throw new RangeError('no');
  });
  await expect(failing).rejects.toThrow(RangeError);
  expect(await store.read((em) => em.count(EventEntity))).toBe(0);
});

test('reading and then writing in one transaction loses no update, even while others write', async () => {
  const file = newFile();
  await using one = await openStore({ engine: 'sqlite', file });
  await using two = await openStore({ engine: 'sqlite', file });
  await one.write((em) => em.insert(EventEntity, { ...anEvent, at: 0 }));
  const increment = (store: typeof one) =>
    store.write(async (em) => {
      const row = await em.findOneOrFail(EventEntity, { id: 'e' });
      await em.nativeUpdate(EventEntity, { id: 'e' }, { at: row.at + 1 });
    });
  await Promise.all(Array.from({ length: 40 }, (_, index) => increment(index % 2 === 0 ? one : two)));
  expect((await one.read((em) => em.findOneOrFail(EventEntity, { id: 'e' }))).at).toBe(40);
});
