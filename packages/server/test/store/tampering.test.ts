// A database in which someone has left more than data: a start and a restore refuse it.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import type { DatabaseAddress } from '../../src/config/config.ts';
import { openStore, UpgradeError } from '../../src/store/database.ts';
import { CopyError } from '../../src/store/sqlite/copy.ts';
import { restoreBackup } from '../../src/store/sqlite/restore.ts';
import { earlierNames, earlierSql } from '../support/earlier.ts';
import { inspect, openEmpty } from '../support/empty.ts';
import { engine, testOnSqlite } from '../support/harness.ts';

interface Tampering {
  title: string;
  sqlite?: string;
  postgresql?: string;
  /** What the sentence names. */
  names: RegExp;
}

const token = `insert into backchannel_tokens (id, name, scope, hosts, prefix, secret_sha256, created_at, request_count)
  values ('t', 'mine', 'full', '[]', '', 'known', 0, 0)`;
/** Creates a trigger on PostgreSQL with this body. */
const trigger = (event: string, table: string, body: string) =>
  `create function mine() returns trigger language plpgsql as $$ begin ${body}; return new; end $$;
   create trigger mine ${event} on ${table} for each row execute function mine()`;
/** Replaces a table with one of these columns. */
const replaced = (table: string, columns: string) => `drop table ${table}; create table ${table} (${columns})`;
const keys = 'backchannel_signing_keys';
const index = 'backchannel_devices_session_id_index';
const replacedIndex = (definition: string) => `drop index ${index}; create ${definition}`;

const tamperings: Tampering[] = [
  {
    title: 'a trigger that adds a token when the password changes',
    sqlite: `create trigger mine after insert on backchannel_events when new.type = 'password.changed' begin ${token}; end`,
    postgresql: trigger('after insert', 'backchannel_events', token),
    names: /a trigger called mine/,
  },
  {
    title: 'a trigger that undoes a revocation',
    sqlite: `create trigger mine after update of ended_at on "BackChannel_Sessions" begin
      update backchannel_sessions set ended_at = null where id = new.id; end`,
    postgresql: trigger('before update', 'backchannel_sessions', 'new.ended_at = null'),
    names: /a trigger called mine/,
  },
  {
    title: 'a trigger that deletes events',
    sqlite: 'create trigger mine after insert on backchannel_events begin delete from backchannel_events; end',
    postgresql: trigger('after insert', 'backchannel_events', 'delete from backchannel_events'),
    names: /a trigger called mine/,
  },
  {
    title: 'a trigger on the list of migrations',
    sqlite: `create trigger mine after insert on backchannel_migrations begin ${token}; end`,
    postgresql: trigger('after insert', 'backchannel_migrations', token),
    names: /a trigger called mine/,
  },
  {
    title: "a trigger on another program's table that writes to ours",
    sqlite: `create table _litestream_seq (id integer, seq integer);
      create trigger mine after update on _litestream_seq begin ${token}; end`,
    names: /a trigger called mine/,
  },
  {
    title: 'a trigger with a line break in its name',
    sqlite: 'create trigger "mine\nDATABASE_URL: fine" after insert on backchannel_events begin select 1; end',
    names: /a trigger called mine\?DATABASE_URL: fine/,
  },
  {
    title: 'a rule',
    postgresql: 'create rule mine as on delete to backchannel_sessions do instead nothing',
    names: /a rule called mine/,
  },
  {
    title: 'row security',
    postgresql: 'alter table backchannel_sessions enable row level security',
    names: /row security/,
  },
  {
    title: 'a policy of row security that is not enabled yet',
    postgresql: 'create policy mine on backchannel_sessions using (false)',
    names: /a policy called mine/,
  },
  {
    title: 'a view in place of a table',
    sqlite: `alter table ${keys} rename to elsewhere; create view ${keys} as select * from elsewhere`,
    postgresql: `alter table ${keys} rename to elsewhere; create view ${keys} as select * from elsewhere`,
    names: /in place of its table backchannel_signing_keys/,
  },
  {
    title: 'a missing table',
    sqlite: `drop table ${keys}`,
    postgresql: `drop table ${keys}`,
    names: /no table backchannel_signing_keys/,
  },
  {
    title: 'an additional column',
    sqlite: 'alter table backchannel_tokens add column mine text',
    postgresql: 'alter table backchannel_tokens add column mine text',
    names: /its table backchannel_tokens/,
  },
  {
    title: 'a generated column',
    sqlite: 'alter table backchannel_tokens add column mine text generated always as (id) virtual',
    postgresql: 'alter table backchannel_tokens add column mine text generated always as (id) stored',
    names: /its table backchannel_tokens/,
  },
  {
    title: 'a default',
    sqlite: replaced(keys, "id text not null default 'mine' primary key"),
    postgresql: `alter table ${keys} alter id set default 'mine'`,
    names: /its table backchannel_signing_keys/,
  },
  {
    title: 'a column of another type',
    sqlite: replaced(keys, 'id blob not null primary key'),
    postgresql: `alter table ${keys} alter id type varchar(5)`,
    names: /its table backchannel_signing_keys/,
  },
  {
    title: 'a column that may be null',
    sqlite: replaced(keys, 'id text null primary key'),
    postgresql: 'alter table backchannel_tokens alter secret_sha256 drop not null',
    names: /its table backchannel_(?:signing_keys|tokens)/,
  },
  {
    title: 'a collation for which different values are the same',
    sqlite: replaced(keys, 'id text not null primary key collate nocase'),
    postgresql: `create collation mine (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
      alter table ${keys} alter id type text collate mine`,
    names: /its table backchannel_signing_keys/,
  },
  {
    title: 'a constraint',
    sqlite: replaced(keys, "id text not null primary key check (id <> 'theirs')"),
    postgresql: `alter table ${keys} add constraint mine check (id <> 'theirs')`,
    names: /its table backchannel_signing_keys/,
  },
  {
    title: 'what happens on a conflict',
    sqlite: replaced(keys, 'id text not null primary key on conflict ignore'),
    names: /its table backchannel_signing_keys/,
  },
  {
    title: 'one column whose name reads like two',
    sqlite: replaced('backchannel_devices', '"secret_sha256 text not null primary key,session_id" text'),
    names: /its table backchannel_devices/,
  },
  {
    title: 'a foreign key to a table of ours',
    sqlite: 'create table mine (session text references backchannel_sessions (id) on delete restrict)',
    postgresql: 'create table mine (session text references backchannel_sessions (id) on delete restrict)',
    names: /foreign key from mine to backchannel_sessions|a constraint called mine_session_fkey/,
  },
  {
    title: 'a foreign key from a table of ours',
    postgresql: `create table mine (id text primary key);
      alter table ${keys} add constraint mine foreign key (id) references mine on delete cascade`,
    names: /a constraint called mine/,
  },
  {
    title: 'a table that inherits from ours',
    postgresql: 'create table mine () inherits (backchannel_tokens)',
    names: /an inheritance on its table backchannel_tokens/,
  },
  {
    title: 'a partitioned table',
    postgresql: `drop table ${keys}; create table ${keys} (id text primary key) partition by list (id)`,
    names: /in place of its table backchannel_signing_keys/,
  },
  {
    title: 'an index that covers only some rows',
    sqlite: replacedIndex(`index ${index} on backchannel_devices (session_id) where created_at > 1`),
    postgresql: replacedIndex(`index ${index} on backchannel_devices (session_id) where created_at > 1`),
    names: /its index backchannel_devices_session_id_index/,
  },
  {
    title: 'an index on an expression',
    sqlite: replacedIndex(`index ${index} on backchannel_devices (lower(session_id))`),
    postgresql: replacedIndex(`index ${index} on backchannel_devices (lower(session_id))`),
    names: /its index backchannel_devices_session_id_index/,
  },
  {
    title: 'an index with another collation',
    sqlite: replacedIndex(`index ${index} on backchannel_devices (session_id collate nocase)`),
    postgresql: replacedIndex(`index ${index} on backchannel_devices (session_id collate "C")`),
    names: /its index backchannel_devices_session_id_index/,
  },
  {
    title: 'an index that allows each value once',
    sqlite: replacedIndex(`unique index ${index} on backchannel_devices (session_id)`),
    postgresql: replacedIndex(`unique index ${index} on backchannel_devices (session_id)`),
    names: /its index backchannel_devices_session_id_index/,
  },
  {
    title: 'an additional index, which can make a statement fail',
    sqlite: 'create unique index mine on backchannel_events (type)',
    postgresql: 'create unique index mine on backchannel_events (type)',
    names: /an index called mine/,
  },
  {
    title: 'a missing index',
    sqlite: `drop index ${index}`,
    postgresql: `drop index ${index}`,
    names: /no index backchannel_devices_session_id_index/,
  },
  {
    title: 'a missing primary key',
    sqlite: replaced(keys, 'id text not null'),
    postgresql: `alter table ${keys} drop constraint ${keys}_pkey`,
    names: /backchannel_signing_keys/,
  },
];

async function migrate(database: DatabaseAddress): Promise<void> {
  await (await openStore(database))[Symbol.asyncDispose]();
}

const newFolder = () => mkdtempSync(join(tmpdir(), 'backchannel-tampering-'));

async function expectRefused(database: DatabaseAddress, names: RegExp): Promise<void> {
  expect((await inspect(database)).problem).toMatch(names);
  const error = await openStore(database).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UpgradeError);
  expect(String(error)).toMatch(/^UpgradeError: DATABASE_URL: \S+ has [^\n]+, so restore a backup from before$/);
  expect(String(error)).toMatch(names);
  if (database.engine !== 'sqlite') return;
  const to = join(newFolder(), 'backchannel.db');
  const restore = () => restoreBackup(database.file, to, { stamp: 'x' });
  expect(restore).toThrow(CopyError);
  expect(restore).toThrow(names);
}

const here = tamperings.flatMap(({ title, names, ...sql }) => {
  const text = sql[engine];
  return text === undefined ? [] : [[title, text, names] as const];
});

test.each(here)('%s is refused, by a start and by a restore', async (_, sql, names) => {
  await using t = await openEmpty();
  await migrate(t.database);
  await t.other.run(sql);
  await expectRefused(t.database, names);
});

test.each(earlierNames)(
  'a trigger in a database of 0.1 at %s is refused before anything is migrated',
  async (level) => {
    for (const table of ['sessions', 'migrations']) {
      await using t = await openEmpty();
      const sql =
        engine === 'sqlite'
          ? `create trigger mine after insert on ${table} begin select 1; end`
          : trigger('after insert', table, 'perform 1');
      await t.other.run(`${earlierSql(engine, level)}; ${sql}`);
      const before = await t.names();
      await expectRefused(t.database, /a trigger called mine/);
      expect(await t.names()).toEqual(before);
    }
  },
);

test("other programs' tables, with their triggers, views and indexes, are ignored", async () => {
  await using t = await openEmpty();
  await migrate(t.database);
  const sql =
    engine === 'sqlite'
      ? `create trigger theirs after insert on _litestream_seq begin delete from theirs; end`
      : trigger('after insert', '_litestream_seq', 'delete from theirs');
  await t.other.run(`create table _litestream_seq (id integer primary key, seq integer);
    create table _litestream_lock (id integer); create table theirs (id integer primary key, other integer references theirs);
    create index their_index on theirs (id); create view their_view as select id from backchannel_sessions; ${sql}`);
  expect((await inspect(t.database)).problem).toBeNull();
  await migrate(t.database);
});

describe('a restore', () => {
  testOnSqlite.each(['0.1', 'now'])('copies our rows and nothing else, from a database of %s', async (version) => {
    await using t = await openEmpty();
    if (t.database.engine !== 'sqlite') return;
    if (version === '0.1') await t.other.run(earlierSql(engine, '0004-instances'));
    else await migrate(t.database);
    const p = version === '0.1' ? '' : 'backchannel_';
    await t.other.run(`create table theirs (id text); insert into theirs values ('a text of theirs');
      create trigger theirs after insert on theirs begin select 1; end; create view their_view as select 1;
      insert into ${p}events (id, at, type) values ('restored', 1, 'logout')`);
    const to = join(newFolder(), 'backchannel.db');
    restoreBackup(t.database.file, to, { stamp: 'x' });
    expect(readFileSync(to, 'latin1')).not.toMatch(/theirs/);
    const db = new Sqlite(to);
    expect(db.prepare(`select id from ${p}events where id = 'restored'`).all()).toHaveLength(1);
    db.close();
    await migrate({ engine: 'sqlite', file: to });
    expect(await inspect({ engine: 'sqlite', file: to })).toMatchObject({ pending: [], problem: null });
  });

  testOnSqlite('of a database of 0.1 that was upgraded still keeps 0.1 from starting on it', async () => {
    await using t = await openEmpty();
    if (t.database.engine !== 'sqlite') return;
    await t.other.run(earlierSql(engine, '0004-instances'));
    await migrate(t.database);
    const to = join(newFolder(), 'backchannel.db');
    restoreBackup(t.database.file, to, { stamp: 'x' });
    const db = new Sqlite(to);
    expect(db.prepare('select name from migrations').pluck().all()).toContain('0005-prefix');
    db.close();
    await migrate({ engine: 'sqlite', file: to });
  });

  testOnSqlite('over a tampered database says that revocations may be lost', async () => {
    await using t = await openEmpty();
    await using good = await openEmpty();
    if (t.database.engine !== 'sqlite' || good.database.engine !== 'sqlite') return;
    for (const each of [t, good]) await migrate(each.database);
    await t.other.run(
      'create trigger mine after insert on backchannel_events begin delete from backchannel_events; end',
    );
    await t.other[Symbol.asyncDispose]();
    expect(restoreBackup(good.database.file, t.database.file, { stamp: 'x' }).isReadable).toBe(false);
    await migrate(t.database);
  });
});
