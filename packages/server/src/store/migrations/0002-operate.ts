import type { StoreMigration } from './migration.ts';

/** API tokens, the throttle's counts, known devices, and what a session needs for step-up. */
export const operate: StoreMigration = {
  name: '0002-operate',
  up: ({ p }) => [
    `alter table ${p}sessions add column stepped_up_at bigint null`,
    `create table ${p}tokens (
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
    `create unique index ${p}tokens_secret_sha256_unique on ${p}tokens (secret_sha256)`,
    `create table ${p}throttle (
      source text not null primary key,
      failures bigint not null,
      first_at bigint not null,
      last_at bigint not null,
      told_at bigint not null
    )`,
    `create table ${p}devices (
      secret_sha256 text not null primary key,
      session_id text not null,
      created_at bigint not null,
      last_seen_at bigint not null
    )`,
    `create index ${p}devices_session_id_index on ${p}devices (session_id)`,
  ],
  down: ({ p }) => [
    `drop table ${p}devices`,
    `drop table ${p}throttle`,
    `drop table ${p}tokens`,
    `alter table ${p}sessions drop column stepped_up_at`,
  ],
};
