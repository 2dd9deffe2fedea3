// Databases as BackChannel 0.1 created them, at each of its migrations: what its own statements made, word for word.
import type { EngineName } from '../../src/store/reading.ts';

interface Differences {
  flag: string;
  ledger: string;
}

const differences: Record<EngineName, Differences> = {
  sqlite: {
    flag: 'integer',
    ledger:
      "create table `migrations` (`id` integer not null primary key autoincrement, `name` text not null, `executed_at` datetime not null default (strftime('%s', 'now') * 1000))",
  },
  postgresql: {
    flag: 'boolean',
    ledger:
      'create table "migrations" ("id" serial primary key, "name" varchar(255) not null, "executed_at" timestamptz(6) not null default current_timestamp(6))',
  },
};

const steps = [
  {
    name: '0001-seed',
    sql: ({ flag }: Differences) => [
      `create table sessions (
      id text not null primary key,
      secret_sha256 text not null,
      password_fingerprint text not null,
      remembered ${flag} not null,
      created_at bigint not null,
      last_seen_at bigint not null,
      ended_at bigint null,
      request_count bigint not null,
      ip text null,
      user_agent text null
    )`,
      'create unique index sessions_secret_sha256_unique on sessions (secret_sha256)',
      'create index sessions_last_seen_at_index on sessions (last_seen_at)',
      `create table events (
      id text not null primary key,
      at bigint not null,
      type text not null,
      ip text null,
      user_agent text null,
      session_id text null,
      token_id text null,
      detail text null
    )`,
      'create index events_type_id_index on events (type, id)',
      `create table passwords (
      origin text not null primary key,
      hash text not null,
      changed_at bigint not null
    )`,
    ],
  },
  {
    name: '0002-operate',
    sql: () => [
      'alter table sessions add column stepped_up_at bigint null',
      `create table tokens (
      id text not null primary key,
      name text not null,
      scope text not null,
      hosts text not null,
      prefix text not null,
      secret_sha256 text not null,
      created_at bigint not null,
      expires_at bigint null,
      last_used_at bigint null,
      last_used_ip text null,
      request_count bigint not null,
      ended_at bigint null
    )`,
      'create unique index tokens_secret_sha256_unique on tokens (secret_sha256)',
      `create table throttle (
      source text not null primary key,
      failures bigint not null,
      first_at bigint not null,
      last_at bigint not null,
      told_at bigint not null
    )`,
      `create table devices (
      secret_sha256 text not null primary key,
      session_id text not null,
      created_at bigint not null,
      last_seen_at bigint not null
    )`,
      'create index devices_session_id_index on devices (session_id)',
    ],
  },
  {
    name: '0003-live',
    sql: () => ['create index sessions_ended_at_created_at_index on sessions (ended_at, created_at)'],
  },
  {
    name: '0004-instances',
    sql: () => [
      `create table instances (
      id text not null primary key,
      host text not null,
      password text not null,
      joined_at bigint not null,
      seen_at bigint not null
    )`,
      'create table signing_keys (id text not null primary key)',
    ],
  },
];

export const earlierNames = steps.map(({ name }) => name);

/** The statements that create a database at a migration of 0.1, with a session, an event and a password in it. */
export function earlierSql(engine: EngineName, level: string): string {
  const its = differences[engine];
  const applied = steps.slice(0, earlierNames.indexOf(level) + 1);
  const no = engine === 'sqlite' ? '0' : 'false';
  return [
    its.ledger,
    ...applied.flatMap(({ name, sql }) => [...sql(its), `insert into migrations (name) values ('${name}')`]),
    `insert into sessions (id, secret_sha256, password_fingerprint, remembered, created_at, last_seen_at, request_count)
      values ('kept session', 'a', 'b', ${no}, 1, 2, 3)`,
    "insert into events (id, at, type) values ('kept event', 1, 'logout')",
    "insert into passwords (origin, hash, changed_at) values ('stored', 'kept hash', 1)",
  ].join(';\n');
}
