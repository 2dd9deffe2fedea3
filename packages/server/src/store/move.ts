/**
 * Moves a SQLite database into an empty PostgreSQL database: every row of every table, with the same ids and times. This is
 * one transaction on PostgreSQL, so either everything arrives or nothing. The file is only read.
 */
import { existsSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import type pg from 'pg';
import type { PostgresAddress } from '../config/postgres-url.ts';
import { openStore } from './database.ts';
import { entities } from './entities.ts';
import { inspectDatabase } from './inspect.ts';
import { nameOf, topicOf } from './names.ts';
import { connect } from './postgresql/connection.ts';
import { asStoreError } from './unavailable.ts';

/** The database cannot be moved, and nothing has been changed. The message is one sentence. */
export class MoveError extends Error {
  override readonly name = 'MoveError';
}

export interface Moved {
  /** How many rows each table has now, counted on PostgreSQL. */
  rows: Record<string, number>;
  /** Whether another process wrote to the file in the meantime. */
  isOutdated: boolean;
}

const ROWS_PER_STATEMENT = 500;

const tables = entities.map(({ meta }) => meta.tableName);
/** This table and `instances` belong to servers that share a database. They have no rows in a file. */
const KEYS_TABLE = nameOf('signing_keys');
const movedTables = tables.filter((table) => table !== KEYS_TABLE && table !== nameOf('instances'));

/**
 * Creates the tables in `target` and fills them from `file`. `keyIds` are the ids of the keys that sign sessions now. A
 * server that starts on `target` needs one of these keys.
 * @throws MoveError if `file` has another version's schema or is in use, or if `target` already has rows
 * @throws StoreUnavailableError if one of the two cannot be used
 */
export async function moveDatabase(
  file: string,
  target: PostgresAddress,
  { keyIds }: { keyIds: readonly string[] },
): Promise<Moved> {
  refuseOtherVersion(file);
  refuseInUse(file);
  // Creates the tables if they don't exist yet.
  await (await openStore({ engine: 'postgresql', ...target }))[Symbol.asyncDispose]();
  const source = new Sqlite(file, { readonly: true, fileMustExist: true });
  const client = await connect(target, { isPatient: true });
  const version = () => Number(source.pragma('data_version', { simple: true }));
  const before = version();
  try {
    await client.query('begin');
    // No server can start on the database before it is complete.
    await client.query(`lock table ${tables.join(', ')} in access exclusive mode`);
    await refuseRows(client, target);
    // Reads one snapshot of the file, even if another process writes to it.
    source.exec('begin');
    const rows: Record<string, number> = {};
    for (const table of movedTables) rows[topicOf(table)] = await copyTable(source, client, table);
    source.exec('commit');
    for (const id of keyIds) await client.query(`insert into ${KEYS_TABLE} (id) values ($1)`, [id]);
    await client.query('commit');
    return { rows, isOutdated: version() !== before };
  } catch (error) {
    throw asStoreError(error, (each) => !(each instanceof MoveError) && isEngines(each));
  } finally {
    source.close();
    // This rolls back an uncommitted transaction.
    await client.end().catch(() => {});
  }
}

function refuseOtherVersion(file: string): void {
  const { applied, pending, unknown, problem } = inspectDatabase(file);
  if (applied.length === 0) throw new MoveError(`${file} is not a BackChannel database.`);
  if (unknown.length > 0) {
    throw new MoveError(
      `${file} was written by a newer BackChannel (${unknown.join(', ')}): move it with that version.`,
    );
  }
  if (problem !== null) throw new MoveError(`${file} ${problem}.`);
  if (pending.length > 0) {
    throw new MoveError(
      `${file} was written by an older BackChannel: start this version on it once to apply ${pending.join(', ')}.`,
    );
  }
}

/**
 * A server that still uses the file could write to it after the move, and a revocation would be lost. The write-ahead log
 * exists as long as any process has the file open: the last one to close it deletes the log.
 */
function refuseInUse(file: string): void {
  if (existsSync(`${file}-wal`))
    throw new MoveError(`${file} is in use: stop the server and any other program that has it open.`);
}

async function refuseRows(client: pg.Client, { shown }: PostgresAddress): Promise<void> {
  const filled: string[] = [];
  for (const table of tables) {
    const count = await countRows(client, table);
    if (count > 0) filled.push(`${topicOf(table)}: ${count}`);
  }
  if (filled.length === 0) return;
  throw new MoveError(`${shown} is not empty (${filled.join(', ')}): use an empty database.`);
}

async function copyTable(source: Sqlite.Database, client: pg.Client, table: string): Promise<number> {
  const statement = source.prepare<[], Record<string, unknown>>(`select * from ${table} order by rowid`);
  const columns = statement.columns().map(({ name }) => name);
  const flags = await booleanColumns(client, table);
  const write = async (rows: readonly Record<string, unknown>[]) => {
    const places = rows.map((_, row) => `(${columns.map((_, at) => `$${row * columns.length + at + 1}`).join(', ')})`);
    const values = rows.flatMap((row) => columns.map((name) => (flags.has(name) ? row[name] === 1 : row[name])));
    await client.query(`insert into ${table} (${columns.join(', ')}) values ${places.join(', ')}`, values);
  };
  let read = 0;
  let batch: Record<string, unknown>[] = [];
  for (const row of statement.iterate()) {
    read++;
    batch.push(row);
    if (batch.length < ROWS_PER_STATEMENT) continue;
    await write(batch);
    batch = [];
  }
  if (batch.length > 0) await write(batch);
  const written = await countRows(client, table);
  if (written !== read)
    throw new MoveError(`Only ${written} of the ${read} rows of ${topicOf(table)} arrived; nothing was moved.`);
  return written;
}

/** The columns that hold booleans on PostgreSQL. SQLite holds 0 and 1. */
async function booleanColumns(client: pg.Client, table: string): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and atttypid = 'boolean'::regtype`,
    [table],
  );
  return new Set(rows.map(({ name }) => name));
}

async function countRows(client: pg.Client, table: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(`select count(*) as count from ${table}`);
  return Number(rows[0]?.count);
}

const isEngines = (error: unknown) => typeof error === 'object' && error !== null && 'code' in error;
