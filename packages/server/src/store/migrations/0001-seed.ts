import type { StoreMigration } from './migration.ts';

/** Sessions, events and password hashes. */
export const seed: StoreMigration = {
  name: '0001-seed',
  up: ({ p, flag }) => [
    `create table ${p}sessions (
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
    `create unique index ${p}sessions_secret_sha256_unique on ${p}sessions (secret_sha256)`,
    `create index ${p}sessions_last_seen_at_index on ${p}sessions (last_seen_at)`,
    `create table ${p}events (
      id text not null primary key,
      at bigint not null,
      type text not null,
      ip text null,
      user_agent text null,
      session_id text null,
      token_id text null,
      detail text null
    )`,
    `create index ${p}events_type_id_index on ${p}events (type, id)`,
    `create table ${p}passwords (
      origin text not null primary key,
      hash text not null,
      changed_at bigint not null
    )`,
  ],
  down: ({ p }) => [`drop table ${p}passwords`, `drop table ${p}events`, `drop table ${p}sessions`],
};
