// What the store promises, on PostgreSQL: with other instances at the same rows, and with connections that break.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { PostgresAddress } from '../../src/config/postgres-url.ts';
import { openStore, type Store, StoreUnavailableError } from '../../src/store/database.ts';
import { EventEntity } from '../../src/store/entities.ts';
import { anEvent } from '../support/an-event.ts';
import { openCable } from '../support/cable.ts';
import { lockWrites, openElsewhere } from '../support/elsewhere.ts';
import { openTestDatabase } from '../support/harness.ts';
import { loadedBy } from '../support/loaded.ts';

const insert = (store: Store) => store.write((em) => em.insert(EventEntity, anEvent));
const count = (store: Store) => store.read((em) => em.count(EventEntity));

test('the migrations make exactly the schema that the entities describe', async () => {
  await using database = await openTestDatabase({ isEmpty: true });
  await using store = await openStore(database.address);
  expect(await store.orm.schema.getUpdateSchemaSQL()).toBe('');
  expect(await store.missing()).toEqual([]);
});

test('nothing of SQLite is loaded for it', async () => {
  await using database = await openTestDatabase();
  expect(await loadedBy(database.address, ['pg', 'better-sqlite3'])).toEqual(['pg']);
});

test('a newer version that has been at work there is refused in one sentence', async () => {
  await using database = await openTestDatabase();
  await using other = await openElsewhere(database);
  await other.run("insert into backchannel_migrations (name) values ('9999-later')");
  await expect(openStore(database.address)).rejects.toThrow(
    `DATABASE_URL: a newer BackChannel has used ${database.address.shown} (9999-later): run that version`,
  );
});

test('work that is only long is let go on', async () => {
  await using database = await openTestDatabase();
  await using store = await openStore(database.address);
  await store.write(async (em) => {
    for (const _ of Array.from({ length: 12 })) await em.execute('select pg_sleep(0.2)');
    await em.insert(EventEntity, anEvent);
  });
  expect(await count(store)).toBe(1);
});

test('several starters on one empty database migrate it once', async () => {
  await using database = await openTestDatabase({ isEmpty: true });
  const stores = await Promise.all([1, 2, 3, 4].map(() => openStore(database.address)));
  for (const store of stores) {
    expect(await store.missing()).toEqual([]);
    await store[Symbol.asyncDispose]();
  }
  await using other = await openElsewhere(database);
  const applied = await other.run<{ name: string }>('select name from backchannel_migrations');
  expect(new Set(applied.map(({ name }) => name)).size).toBe(applied.length);
});

test('the migrations go down again, to nothing', async () => {
  await using database = await openTestDatabase();
  await using store = await openStore(database.address);
  await store.orm.migrator.down({ to: 0 });
  await using other = await openElsewhere(database);
  const tables = await other.run("select table_name from information_schema.tables where table_schema = 'public'");
  expect(tables).toEqual([{ table_name: 'backchannel_migrations' }]);
});

test('reading and then writing in one transaction loses no update, even while others write', async () => {
  await using database = await openTestDatabase();
  await using one = await openStore(database.address);
  await using two = await openStore(database.address);
  await one.write((em) => em.insert(EventEntity, { ...anEvent, at: 0 }));
  const increment = (store: Store) =>
    store.write(async (em) => {
      const row = await em.findOneOrFail(EventEntity, { id: 'e' });
      await em.nativeUpdate(EventEntity, { id: 'e' }, { at: row.at + 1 });
    });
  await Promise.all(Array.from({ length: 12 }, (_, index) => increment(index % 2 === 0 ? one : two)));
  expect((await one.read((em) => em.findOneOrFail(EventEntity, { id: 'e' }))).at).toBe(12);
});

test('instances take turns: however many write to the same rows, none has to start over', async () => {
  await using database = await openTestDatabase();
  const stores = await Promise.all([1, 2, 3, 4].map(() => openStore(database.address)));
  await stores[0]?.write((em) => em.insert(EventEntity, { ...anEvent, at: 0 }));
  let begun = 0;
  const increment = (store: Store) =>
    store.write(async (em) => {
      begun++;
      const row = await em.findOneOrFail(EventEntity, { id: 'e' });
      await em.nativeUpdate(EventEntity, { id: 'e' }, { at: row.at + 1 });
    });
  await Promise.all(stores.flatMap((store) => Array.from({ length: 3 }, () => increment(store))));
  expect(begun).toBe(12);
  for (const store of stores) {
    expect((await store.read((em) => em.findOneOrFail(EventEntity, { id: 'e' }))).at).toBe(12);
    await store[Symbol.asyncDispose]();
  }
});

test('on an engine that knows no such turns, the one that was too late is run again', async () => {
  await using database = await openTestDatabase();
  const [host = { host: '', port: 0 }] = database.address.hosts;
  // As such an engine has it: not its language.
  const garble = (sent: Buffer) => Buffer.from(sent.toString('latin1').replace('lock table', 'lokc table'), 'latin1');
  await using cable = await openCable(host, garble);
  const address = { ...database.address, hosts: [{ host: '127.0.0.1', port: cable.port }] };
  await using one = await openStore(address);
  await using two = await openStore(address);
  await one.write((em) => em.insert(EventEntity, { ...anEvent, at: 0 }));
  const both = Promise.withResolvers<void>();
  let reading = 0;
  let begun = 0;
  const increment = (store: Store) =>
    store.write(async (em) => {
      begun++;
      const row = await em.findOneOrFail(EventEntity, { id: 'e' });
      if (++reading === 2) both.resolve();
      await both.promise;
      await em.nativeUpdate(EventEntity, { id: 'e' }, { at: row.at + 1 });
    });
  await Promise.all([increment(one), increment(two)]);
  expect(begun).toBe(3);
  expect((await one.read((em) => em.findOneOrFail(EventEntity, { id: 'e' }))).at).toBe(2);
});

test('what a transaction has read is still so when it commits, though it wrote elsewhere', async () => {
  await using database = await openTestDatabase();
  await using one = await openStore(database.address);
  await using two = await openStore(database.address);
  /** Adds an event where there is none: without more than row locks both would. */
  const addFirst = (store: Store, id: string) =>
    store.write(async (em) => {
      if ((await em.count(EventEntity)) === 0) await em.insert(EventEntity, { ...anEvent, id });
    });
  for (let round = 0; round < 10; round++) {
    await Promise.all([addFirst(one, 'a'), addFirst(two, 'b')]);
    expect(await count(one)).toBe(1);
    await one.write((em) => em.nativeDelete(EventEntity, {}));
  }
});

test('a transaction that throws leaves nothing behind', async () => {
  await using database = await openTestDatabase();
  await using store = await openStore(database.address);
  const failing = store.write(async (em) => {
    await em.insert(EventEntity, anEvent);
    throw new RangeError('no');
  });
  await expect(failing).rejects.toThrow(RangeError);
  expect(await count(store)).toBe(0);
});

test('a write that never gets its turn fails in time, leaves nothing behind, and the store works on', async () => {
  await using database = await openTestDatabase();
  await using store = await openStore(database.address);
  const locked = await lockWrites(database);
  const writes = [1, 2, 3].map(() => insert(store));
  for (const write of writes) await expect(write).rejects.toThrow(StoreUnavailableError);
  expect(await count(store)).toBe(0);
  await locked.release();
  await insert(store);
  expect(await count(store)).toBe(1);
});

test('one that freezes while it has its turn holds up no other so long that it fails', async () => {
  await using database = await openTestDatabase();
  await using one = await openStore(database.address);
  await using two = await openStore(database.address);
  const [hasTurn, thaw] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const frozen = Promise.allSettled([
    one.write(async (em) => {
      await em.count(EventEntity);
      hasTurn.resolve();
      await thaw.promise;
      await em.insert(EventEntity, { ...anEvent, id: 'of the frozen one' });
    }),
  ]);
  await hasTurn.promise;
  await insert(two).finally(thaw.resolve);
  await frozen;
  expect(await two.read((em) => em.count(EventEntity, { id: anEvent.id }))).toBe(1);
});

test('a big number comes back as a number, and an id sorts as its bytes do', async () => {
  await using database = await openTestDatabase();
  await using store = await openStore(database.address);
  const at = Number.MAX_SAFE_INTEGER;
  for (const id of ['0a', '09', '0', 'a0', '00'])
    await store.write((em) => em.insert(EventEntity, { ...anEvent, id, at }));
  const rows = await store.read((em) => em.find(EventEntity, {}, { orderBy: { id: 'asc' } }));
  expect(rows.map(({ id }) => id)).toEqual(['0', '00', '09', '0a', 'a0']);
  expect(rows[0]?.at).toBe(at);
  const [raw] = await store.read((em) =>
    em.execute<{ at: number; n: number }[]>('select at, count(*) as n from backchannel_events group by at'),
  );
  expect(raw).toEqual({ at, n: 5 });
});

test('a pooler that hands connections around, and takes no limits, does for several starters and after', async () => {
  await using database = await openTestDatabase({ isEmpty: true });
  const sent: string[] = [];
  const [host = { host: '', port: 0 }] = database.address.hosts;
  await using cable = await openCable(host, (bytes) => {
    sent.push(bytes.toString('latin1'));
    return bytes;
  });
  const hosts = [{ host: '127.0.0.1', port: cable.port }];
  const stores = await Promise.all(
    [1, 2, 3].map(() => openStore({ ...database.address, statementTimeoutMs: 0, hosts })),
  );
  // What a connection is told when it is made (PostgreSQL, message formats, StartupMessage) says no limit.
  const startups = sent.filter((bytes) => bytes.includes('user\0') && bytes.includes('database\0'));
  expect(startups.length).toBeGreaterThan(3);
  expect(startups.filter((bytes) => /_timeout\0/.test(bytes))).toEqual([]);
  // And what is locked for a migration is not kept by the connection, which another one gets next.
  expect(sent.filter((bytes) => /pg_advisory_lock/.test(bytes))).toEqual([]);
  for (const store of stores) {
    expect(await store.missing()).toEqual([]);
    await store[Symbol.asyncDispose]();
  }
});

test('it closes while connections are still being made for reads and writes', async () => {
  await using database = await openTestDatabase();
  const store = await openStore(database.address);
  const tries = Promise.allSettled([1, 2, 3].flatMap(() => [count(store), insert(store)]));
  while (!store.figures().pool?.busy) await nextTurn();
  await store[Symbol.asyncDispose]();
  for (const each of await tries) {
    if (each.status === 'rejected') expect(each.reason).toMatchObject({ name: 'StoreUnavailableError' });
  }
});

describe('when connections break', () => {
  async function openOverCable(changes: Partial<PostgresAddress> = {}) {
    const database = await openTestDatabase();
    const [host = { host: '', port: 0 }] = database.address.hosts;
    const cable = await openCable(host);
    const hosts = [{ host: '127.0.0.1', port: cable.port }];
    const store = await openStore({ ...database.address, ...changes, hosts });
    return {
      cable,
      database,
      store,
      [Symbol.asyncDispose]: async () => {
        await cable.mend();
        await store[Symbol.asyncDispose]();
        await cable[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  }

  test('a read and a write go on over new ones, without an error', async () => {
    await using database = await openTestDatabase();
    await using store = await openStore(database.address);
    await using other = await openElsewhere(database);
    const end =
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()';
    await Promise.all([1, 2, 3, 4].map(() => count(store)));
    await other.run(end);
    await Promise.all([1, 2, 3, 4].map(() => count(store)));
    await other.run(end);
    await insert(store);
    let ended = false;
    await store.write(async (em) => {
      await em.nativeUpdate(EventEntity, { id: 'e' }, { at: 2 });
      if (!ended) await other.run(end);
      ended = true;
      await em.nativeUpdate(EventEntity, { id: 'e' }, { detail: 'after' });
    });
    expect(await store.read((em) => em.findOne(EventEntity, { id: 'e' }))).toMatchObject({ at: 2, detail: 'after' });
  });

  test('for as long as the database is away each fails in time, and all is well when it is back', async () => {
    await using t = await openOverCable();
    await t.cable.pull();
    // With what is the matter, for the log.
    const refused = { name: 'StoreUnavailableError', cause: { code: 'ECONNREFUSED' } };
    await expect(count(t.store)).rejects.toMatchObject(refused);
    await expect(insert(t.store)).rejects.toMatchObject(refused);
    // More than there are connections: no place in the pool is lost to one that failed.
    for (const _ of [1, 2]) {
      const tries = Array.from({ length: 15 }, (_, index) => (index % 2 === 0 ? count(t.store) : insert(t.store)));
      for (const each of await Promise.allSettled(tries)) {
        expect(each).toMatchObject({ status: 'rejected', reason: { name: 'StoreUnavailableError' } });
      }
    }
    expect(await t.store.missing()).toEqual(['database']);
    await t.cable.mend();
    await expect.poll(() => t.store.missing()).toEqual([]);
    await insert(t.store);
    expect(await Promise.all(Array.from({ length: 15 }, () => count(t.store)))).toEqual(Array(15).fill(1));
  });

  test.each([
    ['by itself', {}],
    ['though the server is told no limits', { statementTimeoutMs: 0 }],
  ])('a database that goes silent is no different, %s', async (_, changes) => {
    await using t = await openOverCable(changes);
    await Promise.all([1, 2, 3].map(() => count(t.store)));
    t.cable.silence();
    const tries = Array.from({ length: 15 }, (_, index) => (index % 2 === 0 ? count(t.store) : insert(t.store)));
    for (const each of await Promise.allSettled(tries)) {
      expect(each).toMatchObject({ status: 'rejected', reason: { name: 'StoreUnavailableError' } });
    }
    await t.cable.mend();
    await expect.poll(() => count(t.store).catch(() => null)).toBe(0);
    await insert(t.store);
  });

  test('of several hosts the next one is taken', async () => {
    await using t = await openOverCable();
    const [good = { host: '', port: 0 }] = t.database.address.hosts;
    const hosts = [{ host: '127.0.0.1', port: t.cable.port }, good];
    await using store = await openStore({ ...t.database.address, hosts });
    await insert(store);
    await t.cable.pull();
    expect(await count(store)).toBe(1);
    // A starter skips it, too.
    await using later = await openStore({ ...t.database.address, hosts });
    expect(await count(later)).toBe(1);
  });

  test('a host that takes no writes is passed over', async () => {
    await using database = await openTestDatabase();
    const [host = { host: '', port: 0 }] = database.address.hosts;
    const standby = { ...database.address, options: '-c default_transaction_read_only=on', hosts: [host, host] };
    await expect(openStore(standby)).rejects.toThrow(/cannot be used \(This host is read-only/);
  });
});

describe('a URL that leads nowhere is one sentence, without the password', () => {
  const secret = 'hunter2-canary';
  const refusal = async (change: (address: Awaited<ReturnType<typeof openTestDatabase>>['address']) => object) => {
    await using database = await openTestDatabase();
    const address = { ...database.address, ...change(database.address) };
    const error = await openStore(address).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Error)) throw new Error('it opened');
    expect(error.message).toMatch(/^DATABASE_URL: [^\n]+$/);
    expect(error.message).not.toContain(secret);
    expect(error.message).not.toContain(database.address.password);
    return error.message;
  };

  test('a wrong password', async () => {
    expect(await refusal(() => ({ password: secret }))).toMatch(/rejects user postgres .*check the password/);
    expect(await refusal(() => ({ password: null }))).toMatch(/check the password/);
  });

  test('a database that is not there', async () => {
    expect(await refusal(() => ({ database: 'nowhere' }))).toMatch(/there is no database "nowhere" .*createdb nowhere/);
  });

  test('no encryption where it is asked for', async () => {
    expect(await refusal(() => ({ tlsMode: 'verify-full' }))).toMatch(/does not support encryption/);
  });

  test('a certificate that cannot be read', async () => {
    const message = await refusal(() => ({ tlsMode: 'verify-full', tlsFiles: { rootCert: '/nowhere/ca.pem' } }));
    expect(message).toBe('DATABASE_URL: sslrootcert: /nowhere/ca.pem cannot be read (ENOENT).');
  });

  test('a user who may not create tables', async () => {
    await using database = await openTestDatabase({ isEmpty: true });
    await using other = await openElsewhere(database);
    await other.run(`create role guest_${process.pid} login password '${secret}'`);
    const guest = { ...database.address, user: `guest_${process.pid}`, password: secret };
    await expect(openStore(guest)).rejects.toThrow(
      /may not create or change tables .*GRANT USAGE, CREATE ON SCHEMA public/,
    );
    await other.run(`drop role guest_${process.pid}`);
  });
});
