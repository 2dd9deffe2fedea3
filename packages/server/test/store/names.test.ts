// The names in a database: those of 0.1 are replaced, and other programs keep theirs.
import { expect, test } from 'vitest';
import type { DatabaseAddress } from '../../src/config/config.ts';
import { openStore, UpgradeError } from '../../src/store/database.ts';
import { EventEntity, PasswordEntity, SessionEntity } from '../../src/store/entities.ts';
import { migrations } from '../../src/store/migrations/index.ts';
import { earlierNames, earlierSql } from '../support/earlier.ts';
import { inspect, openEmpty } from '../support/empty.ts';
import { engine } from '../support/harness.ts';

/** Opens the database, expects everything of 0.1 in it under its new name, and closes it. */
async function expectUpgraded(database: DatabaseAddress): Promise<void> {
  await using store = await openStore(database);
  expect(await store.missing()).toEqual([]);
  expect(await store.orm.schema.getUpdateSchemaSQL({ dropTables: false })).toBe('');
  const [session, event, password] = await store.read((em) =>
    Promise.all([
      em.findOne(SessionEntity, { id: 'kept session' }),
      em.findOne(EventEntity, { id: 'kept event' }),
      em.findOne(PasswordEntity, { origin: 'stored' }),
    ]),
  );
  expect({ session, event, password }).toMatchObject({
    session: { secretSha256: 'a', remembered: false, createdAt: 1, lastSeenAt: 2, requestCount: 3, steppedUpAt: null },
    event: { at: 1, type: 'logout' },
    password: { hash: 'kept hash' },
  });
}

test.each(earlierNames)('a database of 0.1 at %s is upgraded, and all that it holds is kept', async (level) => {
  await using t = await openEmpty();
  await t.other.run(earlierSql(engine, level));
  expect(await inspect(t.database)).toMatchObject({ passwordHash: 'kept hash', problem: null, unknown: [] });
  await expectUpgraded(t.database);
  expect((await t.names()).filter((name) => !/^(?:backchannel_|migrations)/.test(name))).toEqual([]);
  expect(await inspect(t.database)).toMatchObject({ passwordHash: 'kept hash', problem: null, pending: [] });
  // A start without anything to do.
  await expectUpgraded(t.database);
});

test('a database of 0.1 keeps its list of migrations, with one that makes 0.1 refuse to start', async () => {
  await using t = await openEmpty();
  await t.other.run(earlierSql(engine, '0002-operate'));
  await expectUpgraded(t.database);
  await expectUpgraded(t.database);
  const rows = await t.other.run<{ name: string }>('select name from migrations order by id');
  expect(rows.map(({ name }) => name)).toEqual(['0001-seed', '0002-operate', '0005-prefix']);
  expect(earlierNames).not.toContain('0005-prefix');
});

test('several starters upgrade one database of 0.1 once', async () => {
  await using t = await openEmpty();
  await t.other.run(earlierSql(engine, '0004-instances'));
  await Promise.all([1, 2, 3, 4].map(() => expectUpgraded(t.database)));
  expect(await t.other.run("select name from migrations where name = '0005-prefix'")).toHaveLength(1);
});

test('an upgrade from 0.1 that ended after the list of migrations was moved goes on at the next start', async () => {
  await using t = await openEmpty();
  await t.other.run(earlierSql(engine, '0002-operate'));
  {
    // Its first step is a transaction of its own.
    await using elsewhere = await openEmpty();
    await using store = await openStore(elsewhere.database);
    expect(await store.missing()).toEqual([]);
  }
  await t.other.run(`create table backchannel_migrations (name text not null primary key);
    insert into backchannel_migrations (name) select name from migrations;
    insert into migrations (name) values ('0005-prefix')`);
  expect(await inspect(t.database)).toMatchObject({ passwordHash: 'kept hash', problem: null });
  await expectUpgraded(t.database);
});

test('a newer version of 0.1 is refused before anything is changed', async () => {
  await using t = await openEmpty();
  await t.other.run(`${earlierSql(engine, '0004-instances')}; insert into migrations (name) values ('0005-other')`);
  const before = await t.names();
  await expect(openStore(t.database)).rejects.toThrow(/^DATABASE_URL: a newer BackChannel .*\(0005-other\)/);
  expect(await t.names()).toEqual(before);
});

const foreign: [string, string][] = [
  [
    'Laravel',
    "create table migrations (id integer, migration text, batch integer); insert into migrations values (1, '0001_create_users', 1)",
  ],
  [
    'TypeORM',
    "create table migrations (id integer, timestamp bigint, name text); insert into migrations values (1, 17, 'Init17')",
  ],
  [
    'MikroORM',
    "create table migrations (id integer, name text, executed_at text); insert into migrations values (1, 'Migration20240101', '')",
  ],
  ['nobody yet', 'create table migrations (id integer, name text, executed_at text)'],
];
test.each(foreign)('tables of another program stay as they are, with a list of migrations of %s', async (_, sql) => {
  await using t = await openEmpty();
  const tables = ['sessions', 'events', 'passwords', 'tokens', 'instances', 'signing_keys', 'throttle', 'devices'];
  await t.other.run(`${sql}; ${tables.map((table) => `create table ${table} (mine text)`).join(';')}`);
  const [before, names] = [await t.other.run('select * from migrations'), await t.names()];
  expect(await inspect(t.database)).toMatchObject({ applied: [], passwordHash: null, signingKeys: [], problem: null });
  for (const _ of [1, 2]) {
    await using store = await openStore(t.database);
    expect(await store.missing()).toEqual([]);
    await store.write((em) => em.nativeDelete(EventEntity, {}));
  }
  expect(await t.other.run('select * from migrations')).toEqual(before);
  for (const table of tables) expect(await t.other.run(`select mine from ${table}`)).toEqual([]);
  const added = (await t.names()).filter((name) => !names.includes(name));
  expect(added.filter((name) => !name.startsWith('backchannel_'))).toEqual([]);
  expect((await inspect(t.database)).applied).toEqual(migrations.map(({ name }) => name));
});

const taken: [string, string, string][] = [
  ['a table', 'create table backchannel_tokens (mine text)', 'backchannel_tokens'],
  ['a view', 'create view backchannel_events as select 1 as mine', 'backchannel_events'],
  [
    'an index',
    'create table x (y text); create index backchannel_events_type_id_index on x (y)',
    'backchannel_events_type_id_index',
  ],
  ['the list of migrations', 'create table backchannel_migrations (mine text)', 'backchannel_migrations'],
];
test.each(taken)('a name that is taken by %s is one sentence at once, and nothing is changed', async (_, sql, name) => {
  for (const first of ['', `${earlierSql(engine, '0004-instances')};`]) {
    await using t = await openEmpty();
    await t.other.run(first + sql);
    const before = await t.names();
    const from = performance.now();
    const error = await openStore(t.database).catch((reason: unknown) => reason);
    expect(performance.now() - from).toBeLessThan(5000);
    expect(error).toBeInstanceOf(UpgradeError);
    expect(String(error)).toMatch(
      new RegExp(
        `^UpgradeError: DATABASE_URL: \\S+ has a table or an index called ${name} that BackChannel did not create: [^\\n]+$`,
      ),
    );
    expect(await t.names()).toEqual(before);
    expect((await inspect(t.database)).problem).toContain(name);
  }
});
