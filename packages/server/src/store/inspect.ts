// Reads the state of a database without changing it: it applies no migration and creates no file.
import Sqlite from 'better-sqlite3';
import type { PostgresAddress } from '../config/postgres-url.ts';
import { type Reading, readAsync, readSync } from './reading.ts';
import { type DatabaseState, readState } from './state.ts';

export type { DatabaseState } from './state.ts';

/** How long to wait for a writer that is closing, in milliseconds. */
const PATIENCE_MS = 2000;

/** @throws SQLite's error if the file is not a database or cannot be read */
export function inspectDatabase(file: string): DatabaseState {
  const db = new Sqlite(file, { fileMustExist: true, timeout: PATIENCE_MS });
  try {
    db.pragma('query_only = ON');
    return inspectOpen(db);
  } finally {
    db.close();
  }
}

/** The same for a database that is already open. */
export const inspectOpen = (db: Sqlite.Database): DatabaseState =>
  // One snapshot, because another process may be migrating.
  db.transaction(() => readFile(db, readState('sqlite')))();

/** The same for a database on PostgreSQL. @throws the driver's error if it cannot be queried */
export async function inspectPostgres(address: PostgresAddress): Promise<DatabaseState> {
  const [{ connect }, { refusePlace }] = await Promise.all([
    import('./postgresql/connection.ts'),
    import('./postgresql/place.ts'),
  ]);
  const client = await connect(address);
  try {
    await refusePlace(client, address);
    await client.query('begin isolation level repeatable read read only');
    return await readAsync(readState('postgresql'), async (sql) => (await client.query(sql)).rows);
  } finally {
    await client.end();
  }
}

/** The result of a reading on an open SQLite database. */
export const readFile = <T>(db: Sqlite.Database, reading: Reading<T>): T =>
  readSync(reading, (sql) => db.prepare<[], Record<string, unknown>>(sql).all());

export const hasTable = (db: Sqlite.Database, name: string): boolean =>
  db.prepare("select 1 from sqlite_schema where type = 'table' and name = ?").get(name) !== undefined;
