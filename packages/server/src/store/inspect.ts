// Reads the state of a database without changing it: it applies no migration and creates no file.
import Sqlite from 'better-sqlite3';
import type { PostgresAddress } from '../config/postgres-url.ts';
import { compareMigrations } from './migrations/index.ts';

/** What a database holds. */
export interface DatabaseState {
  /** Applied migrations, in their order. Empty if this is not a BackChannel database. */
  applied: string[];
  /** Migrations of this code that have not been applied. */
  pending: string[];
  /** Applied migrations that this code does not know, because a newer version has used the database. */
  unknown: string[];
  /** The stored hash of the master password; null if there is none. */
  passwordHash: string | null;
  /** The ids of the keys that were last used with this database; empty if it has none. */
  signingKeys: string[];
}

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
export function inspectOpen(db: Sqlite.Database): DatabaseState {
  const column = (sql: string, table: string): string[] =>
    hasTable(db, table) ? db.prepare<[], string>(sql).pluck().all() : [];
  const applied = column(appliedSql, 'migrations');
  const [passwordHash = null] = column(passwordSql, 'passwords');
  return { ...compareMigrations(applied), passwordHash, signingKeys: column(keysSql, 'signing_keys') };
}

/** The same for a database on PostgreSQL. @throws the driver's error if it cannot be queried */
export async function inspectPostgres(address: PostgresAddress): Promise<DatabaseState> {
  const { connect } = await import('./postgresql/connection.ts');
  const client = await connect(address);
  const column = async (sql: string, table: string): Promise<string[]> => {
    const { rows: there } = await client.query('select to_regclass($1) is not null as yes', [table]);
    if (!there[0].yes) return [];
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows.flat();
  };
  try {
    const applied = await column(appliedSql, 'migrations');
    const [passwordHash = null] = await column(passwordSql, 'passwords');
    return { ...compareMigrations(applied), passwordHash, signingKeys: await column(keysSql, 'signing_keys') };
  } finally {
    await client.end();
  }
}

const appliedSql = 'select name from migrations order by id';
const keysSql = 'select id from signing_keys';
const passwordSql = "select hash from passwords where origin = 'stored'";

export const hasTable = (db: Sqlite.Database, name: string): boolean =>
  db.prepare("select 1 from sqlite_schema where type = 'table' and name = ?").get(name) !== undefined;
