// SQLite: one file, one connection, and other processes beside this one.
import { closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { SqliteDriver } from '@mikro-orm/sqlite';
import Sqlite from 'better-sqlite3';
import { SqliteDialect } from 'kysely';
import { errorCode } from '../../error-code.ts';
import { prepareDataFolder } from '../data-folder.ts';
import { type Engine, openOrm } from '../engine.ts';
import { isPrepared } from '../prepared.ts';
import { retry } from '../retry.ts';
import { asStoreError, StoreUnavailableError } from '../unavailable.ts';
import { prepareUpgrade } from './upgrade.ts';

/** How long a starter waits for another one that migrates the same file, in milliseconds. */
const START_PATIENCE_MS = 10_000;
/** better-sqlite3 waits synchronously: longer, and a second process would freeze the event loop. */
const BUSY_TIMEOUT_MS = 25;

/** Opens the file, made where it is not there. */
export async function openSqlite(file: string): Promise<Engine> {
  const giveUpAt = performance.now() + START_PATIENCE_MS;
  let opened: ReturnType<typeof openDialect>;
  try {
    opened = await retry(async () => openDialect(file), { giveUpAt, isTransient: isBeingRestored });
    await retry(async () => prepareUpgrade(file), { giveUpAt, isTransient: isLocked });
  } catch (error) {
    throw asStoreError(error, isUnavailable);
  }
  const { dialect, setDurable } = opened;
  const orm = await openOrm(SqliteDriver, { dialect, dbName: file });
  return {
    name: 'sqlite',
    orm,
    isTransient: isLocked,
    isUnavailable,
    longestPauseMs: 20,
    // It answers within the call: there is nobody who could hang.
    isAnswering: () => true,
    // The store runs one transaction at a time, so this is the one whose BEGIN comes next.
    transaction: (work, { durable }) => {
      setDurable(durable);
      return orm.em.fork().transactional(work);
    },
    migrate: async () => {
      await retry(() => orm.migrator.up(), { giveUpAt, isTransient: isOthersMigration });
    },
    close: () => orm.close(true),
  };
}

/**
 * better-sqlite3 behind Kysely's dialect, with two changes: a transaction takes the write lock when it begins, so that
 * reading and then writing in it can't fail on a snapshot that another process aged; and a BEGIN that fails shows it at
 * the first statement. Kysely 0.29 never gives a connection back whose BEGIN or ROLLBACK threw: one busy moment, or one
 * full disk, would lock this process out of its only connection for good. Of MikroORM's statements none
 * is kept prepared: it writes their values into them.
 */
function openDialect(file: string): { dialect: SqliteDialect; setDurable(isDurable: boolean): void } {
  prepareDataFolder(dirname(file));
  // SQLite gives its -wal and -shm files the mode of this one.
  closeSync(openFile(file));
  const db = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
  const isInPlace = watchPlace(file);
  try {
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
  } catch (error) {
    db.close();
    throw error;
  }
  // With FULL a commit waits for the disk, and the event loop with it; NORMAL could lose it when the power fails, though
  // nothing before it, and never to a crash of the process.
  let synchronous = 'FULL';
  let wanted = 'FULL';
  /** Why the transaction that is running could not begin. Only that transaction has the connection. */
  let refusal: unknown = null;
  const done = { changes: 0, lastInsertRowid: 0 };
  const begin = {
    reader: false,
    run: () => {
      try {
        if (!isInPlace()) throw new MovedError(file);
        // What could not be rolled back then, a disk that is well again lets go.
        if (db.inTransaction) db.prepare('rollback').run();
        if (synchronous !== wanted) db.pragma(`synchronous = ${wanted}`);
        synchronous = wanted;
        return db.prepare('begin immediate').run();
      } catch (error) {
        refusal = error;
        return done;
      }
    },
    all: () => [],
    iterate: () => [].values(),
  };
  const rollback = {
    ...begin,
    run: () => {
      refusal = null;
      try {
        // On a full disk SQLite has rolled back by itself, and would refuse to do it again.
        if (db.inTransaction) db.prepare('rollback').run();
      } catch {
        // The next BEGIN tries again.
      }
      return done;
    },
  };
  const prepared = new Map<string, Sqlite.Statement>();
  const prepareOnce = (sql: string) => {
    const known = prepared.get(sql) ?? db.prepare(sql);
    prepared.set(sql, known);
    return known;
  };
  const dialect = new SqliteDialect({
    database: {
      prepare: (sql) => {
        if (sql === 'begin') return begin;
        if (sql === 'rollback') return rollback;
        if (refusal !== null) throw refusal;
        if (!db.inTransaction && !isInPlace()) throw new MovedError(file);
        return isPrepared(sql) ? prepareOnce(sql) : db.prepare(sql);
      },
      close: () => db.close(),
    },
  });
  const setDurable = (isDurable: boolean) => {
    wanted = isDurable ? 'FULL' : 'NORMAL';
  };
  return { dialect, setDurable };
}

function openFile(file: string): number {
  try {
    return openSync(file, 'a', 0o600);
  } catch (cause) {
    throw new StoreUnavailableError(`${file} cannot be opened.`, { cause });
  }
}

/**
 * The file is not where it was opened. SQLite works on with one that was moved or deleted, and what is answered then,
 * a revocation for one, would be gone at the next start.
 */
class MovedError extends Error {
  readonly code = 'SQLITE_READONLY_DBMOVED';

  constructor(file: string) {
    super(`${file} is not the file that was opened: put that one back, or start again`);
  }
}

/** Whether the file of this name is still the one that it is now. */
function watchPlace(file: string): () => boolean {
  const opened = statSync(file);
  return () => {
    const now = statSync(file, { throwIfNoEntry: false });
    return now !== undefined && now.ino === opened.ino && now.dev === opened.dev;
  };
}

const isLocked = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(errorCode(error));

/** Somebody keeps the file to themselves, or has put another one in its place since it was opened. */
const isBeingRestored = (error: unknown) => isLocked(error) || errorCode(error) === 'SQLITE_READONLY_DBMOVED';

/** Another instance holds the lock, or has made a table between our look and our try: looking again settles it. */
const isOthersMigration = (error: unknown) =>
  isLocked(error) || (error instanceof Error && /already exists|UNIQUE constraint failed/.test(error.message));

const unavailable = /^SQLITE_(BUSY|LOCKED|IOERR|FULL|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM|AUTH|NOMEM|PROTOCOL)/;

function isUnavailable(error: unknown): boolean {
  const isClosed = error instanceof Error && /not open|has already been destroyed|closed/.test(error.message);
  return isClosed || unavailable.test(errorCode(error));
}
