// SQLite: one file, one connection, and other processes beside this one.
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { SqliteDriver } from '@mikro-orm/sqlite';
import Sqlite from 'better-sqlite3';
import { SqliteDialect } from 'kysely';
import { prepareDataFolder } from './data-folder.ts';
import { type Engine, openOrm } from './engine.ts';
import { retry } from './retry.ts';
import { asStoreError, codeOf } from './unavailable.ts';
import { prepareUpgrade } from './upgrade.ts';

/** How long a starter waits for another one that migrates the same file, in milliseconds. */
const START_PATIENCE_MS = 10_000;
/** better-sqlite3 waits synchronously: longer, and a second process would freeze the event loop. */
const BUSY_TIMEOUT_MS = 25;

/** Opens the file, made where it is not there. */
export async function openSqlite(file: string): Promise<Engine> {
  const giveUpAt = performance.now() + START_PATIENCE_MS;
  let dialect: SqliteDialect;
  try {
    dialect = await retry(async () => openDialect(file), { giveUpAt, isPassing: isBeingRestored });
    await retry(async () => prepareUpgrade(file), { giveUpAt, isPassing: isLocked });
  } catch (error) {
    throw asStoreError(error, isUnavailable);
  }
  const orm = await openOrm(SqliteDriver, { dialect, dbName: file });
  return {
    name: 'sqlite',
    orm,
    isPassing: isLocked,
    isUnavailable,
    migrate: async () => {
      await retry(() => orm.migrator.up(), { giveUpAt, isPassing: isOthersMigration });
    },
  };
}

/**
 * better-sqlite3 behind Kysely's dialect, with two changes: a transaction takes the write lock when it begins, so that
 * reading and then writing in it can't fail on a snapshot that another process aged; and a BEGIN that fails shows it at
 * the first statement. Kysely 0.29 never gives a connection back whose BEGIN threw: one busy moment would lock this
 * process out of its only connection for good. Statements are not kept prepared: MikroORM writes their values into them.
 */
function openDialect(file: string): SqliteDialect {
  prepareDataFolder(dirname(file));
  // SQLite gives its -wal and -shm files the mode of this one.
  closeSync(openSync(file, 'a', 0o600));
  const db = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    db.pragma('journal_mode = WAL');
    // NORMAL could lose an answered revocation when the power fails.
    db.pragma('synchronous = FULL');
  } catch (error) {
    db.close();
    throw error;
  }
  /** Why the transaction that is running could not begin. Only that transaction has the connection. */
  let refusal: unknown = null;
  const done = { changes: 0, lastInsertRowid: 0 };
  const begin = {
    reader: false,
    run: () => {
      try {
        return db.prepare('begin immediate').run();
      } catch (error) {
        refusal = error;
        return done;
      }
    },
    all: () => [],
    iterate: () => [].values(),
  };
  const endRefused = {
    ...begin,
    run: () => {
      refusal = null;
      return done;
    },
  };
  return new SqliteDialect({
    database: {
      prepare: (sql) => {
        if (sql === 'begin') return begin;
        if (refusal === null) return db.prepare(sql);
        if (sql === 'rollback') return endRefused;
        throw refusal;
      },
      close: () => db.close(),
    },
  });
}

const isLocked = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));

/** Somebody keeps the file to themselves, or has put another one in its place since it was opened. */
const isBeingRestored = (error: unknown) => isLocked(error) || codeOf(error) === 'SQLITE_READONLY_DBMOVED';

/** Another instance holds the lock, or has made a table between our look and our try: looking again settles it. */
const isOthersMigration = (error: unknown) =>
  isLocked(error) || (error instanceof Error && /already exists|UNIQUE constraint failed/.test(error.message));

const unavailable = /^SQLITE_(BUSY|LOCKED|IOERR|FULL|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM|AUTH|NOMEM|PROTOCOL)/;

function isUnavailable(error: unknown): boolean {
  const isClosed = error instanceof Error && /not open|has already been destroyed|closed/.test(error.message);
  return isClosed || unavailable.test(codeOf(error));
}
