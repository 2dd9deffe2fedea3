// Where in PostgreSQL everything is: in a database that holds every text, in the connection's current schema.
import { expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../src/config/config.ts';
import { openStore, type Store } from '../../src/store/database.ts';
import { EventEntity } from '../../src/store/entities.ts';
import { inspectPostgres } from '../../src/store/inspect.ts';
import { anEvent } from '../support/an-event.ts';
import { openElsewhere } from '../support/elsewhere.ts';
import { openTestDatabase } from '../support/harness.ts';

const PASSWORD = 'a password of a role';

function addressOf(url: string) {
  const address = parseDatabaseUrl(url);
  if ('problem' in address || address.engine !== 'postgresql') throw new Error('no URL of PostgreSQL');
  return address;
}

/** An empty database, and a role of its own. */
async function openWithRole() {
  const database = await openTestDatabase({ isEmpty: true });
  const other = await openElsewhere(database);
  const role = `someone_${process.pid}`;
  await other.run(`create role ${role} login password '${PASSWORD}'`);
  const url = new URL(database.url);
  url.username = role;
  url.password = PASSWORD;
  return {
    database,
    other,
    role,
    url: url.href,
    schemas: async () => {
      const rows = await other.run<{ schema: string }>(
        "select distinct table_schema as schema from information_schema.tables where table_name like 'backchannel%'",
      );
      return rows.map(({ schema }) => schema);
    },
    [Symbol.asyncDispose]: async () => {
      await other.run(`drop owned by ${role} cascade; drop role ${role}`);
      await other[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

async function expectAtWork(store: Store): Promise<void> {
  expect(await store.missing()).toEqual([]);
  await store.write((em) => em.insert(EventEntity, { ...anEvent, id: String(Math.random()) }));
}

test.each<[string, (t: { role: string; url: string }) => { sql: string; url: string; schema: string }]>([
  [
    'from the URL',
    ({ role, url }) => ({
      sql: `create schema auth authorization ${role}`,
      url: `${url}&options=-c%20search_path%3Dauth`,
      schema: 'auth',
    }),
  ],
  [
    'from the URL, with another one behind it',
    ({ role, url }) => ({
      sql: `create schema "Auth 2" authorization ${role}`,
      url: `${url}&options=${encodeURIComponent('-c search_path="Auth\\ 2",public')}`,
      schema: 'Auth 2',
    }),
  ],
  [
    'from the role',
    ({ role, url }) => ({
      sql: `create schema auth authorization ${role}; alter role ${role} set search_path to nowhere, auth, public`,
      url,
      schema: 'auth',
    }),
  ],
  [
    'that is named like the user',
    ({ role, url }) => ({ sql: `create schema authorization ${role}`, url, schema: role }),
  ],
  ['public', ({ role, url }) => ({ sql: `grant create on schema public to ${role}`, url, schema: 'public' })],
])('everything is in the current schema %s, beside another program in public', async (_, make) => {
  await using t = await openWithRole();
  const { sql, url, schema } = make(t);
  await t.other.run(`${sql}; create table public.migrations (id int, name text); create table public.sessions (x int)`);
  const address = addressOf(url);
  const stores = await Promise.all([1, 2].map(() => openStore(address)));
  for (const store of stores) await expectAtWork(store);
  for (const store of stores) await store[Symbol.asyncDispose]();
  await using again = await openStore(address);
  await expectAtWork(again);
  expect(await t.schemas()).toEqual([schema]);
  expect(await inspectPostgres(address)).toMatchObject({ pending: [], unknown: [], problem: null });
});

test('two sets of tables in two schemas of one database know nothing of each other', async () => {
  await using t = await openWithRole();
  await t.other.run(`create schema auth authorization ${t.role}; grant create on schema public to ${t.role}`);
  await using inPublic = await openStore(addressOf(t.url));
  await expectAtWork(inPublic);
  await using inAuth = await openStore(addressOf(`${t.url}&options=-c%20search_path%3Dauth,public`));
  expect(await inAuth.read((em) => em.count(EventEntity))).toBe(0);
  await expectAtWork(inAuth);
  expect(await inPublic.read((em) => em.count(EventEntity))).toBe(1);
  expect((await t.schemas()).toSorted()).toEqual(['auth', 'public']);
});

test.each<[string, string, RegExp]>([
  [
    'there is not',
    '',
    /the search path is auth, and there is no schema auth; create it with: CREATE SCHEMA auth AUTHORIZATION someone_\d+$/,
  ],
  [
    'is not to be used',
    'create schema auth',
    /may not use the schema auth; as its owner: GRANT USAGE, CREATE ON SCHEMA auth TO someone_\d+$/,
  ],
  [
    'is not to be written',
    'create schema auth; grant usage on schema auth to public',
    /may not create or change tables .*GRANT USAGE, CREATE ON SCHEMA auth TO someone_\d+$/,
  ],
])('a schema that %s is one sentence at once, with the line that helps', async (_, sql, message) => {
  await using t = await openWithRole();
  if (sql) await t.other.run(sql);
  const from = performance.now();
  const address = addressOf(`${t.url}&options=-c%20search_path%3Dauth`);
  const error = await openStore(address).catch((reason: unknown) => reason);
  expect(String(error)).toMatch(/^DatabaseUrlError: DATABASE_URL: [^\n]+$/);
  expect(String(error)).toMatch(message);
  expect(performance.now() - from).toBeLessThan(5000);
});

test('a search path on which another function can take the place of one of PostgreSQL is refused', async () => {
  await using t = await openWithRole();
  await t.other.run(`grant create on schema public to ${t.role}`);
  const address = addressOf(`${t.url}&options=-c%20search_path%3Dpublic,pg_catalog`);
  await expect(openStore(address)).rejects.toThrow(/^DATABASE_URL: .* take pg_catalog out of it$/);
});

test.each(['LATIN1', 'SQL_ASCII'])(
  'a database in %s, which does not hold every text, is refused with a line that helps',
  async (encoding) => {
    await using t = await openWithRole();
    const name = `other_${encoding}_${process.pid}`.toLowerCase();
    await t.other.run(
      `create database ${name} encoding '${encoding}' locale_provider libc locale 'C' template template0`,
    );
    try {
      const url = new URL(t.database.url);
      url.pathname = name;
      const address = addressOf(url.href);
      const line = `createdb --encoding=UTF8 --template=template0 ${name}`;
      await expect(openStore(address)).rejects.toThrow(new RegExp(`^DATABASE_URL: .* as ${encoding}, .*: ${line}$`));
      await expect(inspectPostgres(address)).rejects.toThrow(line);
    } finally {
      await t.other.run(`drop database ${name} with (force)`);
    }
  },
);
