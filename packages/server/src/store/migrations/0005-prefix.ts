import { PREFIX } from '../names.ts';
import type { Place, StoreMigration } from './migration.ts';

const tables = ['sessions', 'events', 'passwords', 'tokens', 'throttle', 'devices', 'instances', 'signing_keys'];
const indexes = [
  { name: 'sessions_secret_sha256_unique', create: 'create unique index', on: 'sessions (secret_sha256)' },
  { name: 'sessions_last_seen_at_index', create: 'create index', on: 'sessions (last_seen_at)' },
  { name: 'sessions_ended_at_created_at_index', create: 'create index', on: 'sessions (ended_at, created_at)' },
  { name: 'events_type_id_index', create: 'create index', on: 'events (type, id)' },
  { name: 'tokens_secret_sha256_unique', create: 'create unique index', on: 'tokens (secret_sha256)' },
  { name: 'devices_session_id_index', create: 'create index', on: 'devices (session_id)' },
];

/** Gives the tables and indexes of a database from 0.1 their prefix. A newer database has had it from the start. */
export const prefix: StoreMigration = {
  name: '0005-prefix',
  up: (place) => rename(place, { from: '', to: PREFIX }),
  down: (place) => rename(place, { from: PREFIX, to: '' }),
};

function rename({ engine, isEarlier }: Place, { from, to }: { from: string; to: string }): string[] {
  if (!isEarlier) return [];
  const renamed = tables.map((table) => `alter table ${from}${table} rename to ${to}${table}`);
  if (engine === 'postgresql') {
    const names = [...indexes.map(({ name }) => name), ...tables.map((table) => `${table}_pkey`)];
    return [...renamed, ...names.map((name) => `alter index ${from}${name} rename to ${to}${name}`)];
  }
  // SQLite cannot rename an index.
  return [
    ...renamed,
    ...indexes.flatMap(({ name, create, on }) => [`drop index ${from}${name}`, `${create} ${to}${name} on ${to}${on}`]),
  ];
}
