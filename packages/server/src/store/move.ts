/**
 * Moves a SQLite database into an empty PostgreSQL one: every row of every table, ids and times as they are. It is one
 * transaction there, so that all of it arrives or nothing; the file is only read.
 */
import { existsSync } from 'node:fs';
import Sqlite from 'better-sqlite3';
import type pg from 'pg';
import type { PostgresAddress } from '../config/postgres-url.ts';
import { openStore } from './database.ts';
import { entities } from './entities.ts';
import { inspectDatabase } from './inspect.ts';
import { connect } from './postgresql/connection.ts';
import { asStoreError } from './unavailable.ts';

/** It cannot be moved, and nothing was. The message is one sentence. */
export class MoveError extends Error {
  override readonly name = 'MoveError';
}

export interface Moved {
  /** How many rows each table has now, counted there. */
  rows: Record<string, number>;
  /** Whether somebody has begun to write to the file meanwhile. */
  isOutdated: boolean;
}

const ROWS_PER_STATEMENT = 500;

const tables = entities.map(({ meta }) => meta.tableName);
/** What belongs to the servers on one database, and has no rows in a file. */
const KEYS_TABLE = 'signing_keys';
const movedTables = tables.filter((table) => table !== KEYS_TABLE && table !== 'instances');

/**
 * Makes the tables in `target` and fills them from `file`. `keyIds` are those of the ring that signs there now: whoever
 * starts on `target` has to have one of its keys.
 * @throws MoveError where `file` is of another version or in use, or `target` has rows already
 * @throws StoreUnavailableError where one of the two cannot be used
 */
export async function moveDatabase(
  file: string,
  target: PostgresAddress,
  { keyIds }: { keyIds: readonly string[] },
): Promise<Moved> {
  refuseOtherVersion(file);
  refuseInUse(file);
  // Makes the tables there, if they aren't yet.
  await (await openStore({ engine: 'postgresql', ...target }))[Symbol.asyncDispose]();
  const source = new Sqlite(file, { readonly: true, fileMustExist: true });
  const client = await connect(target, { isPatient: true });
  const version = () => Number(source.pragma('data_version', { simple: true }));
  const before = version();
  try {
    await client.query('begin');
    // Nobody starts on it before it is whole.
    await client.query(`lock table ${tables.join(', ')} in access exclusive mode`);
    await refuseRows(client, target);
    // One snapshot of the file, whoever writes to it.
    source.exec('begin');
    const rows: Record<string, number> = {};
    for (const table of movedTables) rows[table] = await copyTable(source, client, table);
    source.exec('commit');
    for (const id of keyIds) await client.query(`insert into ${KEYS_TABLE} (id) values ($1)`, [id]);
    await client.query('commit');
    return { rows, isOutdated: version() !== before };
  } catch (error) {
    throw asStoreError(error, (each) => !(each instanceof MoveError) && isEngines(each));
  } finally {
    source.close();
    // What has not been committed is rolled back by that.
    await client.end().catch(() => {});
  }
}

function refuseOtherVersion(file: string): void {
  const { applied, pending, unknown } = inspectDatabase(file);
  if (applied.length === 0) throw new MoveError(`${file} is no database of BackChannel's.`);
  if (unknown.length > 0) {
    throw new MoveError(`${file} is of a newer BackChannel (${unknown.join(', ')}): move it with that one.`);
  }
  if (pending.length > 0) {
    throw new MoveError(
      `${file} is of an older BackChannel: start this one on it once, which applies ${pending.join(', ')}.`,
    );
  }
}

/** What a server writes after it would be there alone, a revocation for one. Whoever closes the file last takes its log away. */
function refuseInUse(file: string): void {
  if (existsSync(`${file}-wal`))
    throw new MoveError(`${file} is in use: stop the server first, and whatever else has it open.`);
}

async function refuseRows(client: pg.Client, { shown }: PostgresAddress): Promise<void> {
  const filled: string[] = [];
  for (const table of tables) {
    const count = await countRows(client, table);
    if (count > 0) filled.push(`${table}: ${count}`);
  }
  if (filled.length === 0) return;
  throw new MoveError(`${shown} is not empty (${filled.join(', ')}): name a database that nothing has been in yet.`);
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
  if (written !== read) throw new MoveError(`Of the ${read} rows of ${table}, ${written} arrived; nothing was moved.`);
  return written;
}

/** SQLite has numbers where PostgreSQL has truth values. */
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
