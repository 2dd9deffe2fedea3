import type { StoreMigration } from './migration.ts';

/** The state that instances on one database must agree on. */
export const instances: StoreMigration = {
  name: '0004-instances',
  up: ({ p }) => [
    `create table ${p}instances (
      id text not null primary key,
      host text not null,
      password text not null,
      joined_at bigint not null,
      seen_at bigint not null
    )`,
    `create table ${p}signing_keys (id text not null primary key)`,
  ],
  down: ({ p }) => [`drop table ${p}signing_keys`, `drop table ${p}instances`],
};
