// The engine for SQLite: one file and one connection. Other processes may use the same file.
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

/** How long a start waits for another process that migrates the same file, in milliseconds. */
const START_PATIENCE_MS = 10_000;
/** In milliseconds. better-sqlite3 waits synchronously, so with a longer timeout a second process would block the event loop. */
const BUSY_TIMEOUT_MS = 25;

/** Opens the file. Creates it if it does not exist. */
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
    // SQLite responds within the call, so there is no server that could hang.
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
 * better-sqlite3 behind Kysely's dialect, with two changes:
 * - A transaction takes the write lock at its BEGIN. Otherwise a write after a read could fail, because another process has
 *   written since the snapshot.
 * - A failed BEGIN throws at the next statement. Kysely 0.29 never releases a connection after its BEGIN or ROLLBACK threw,
 *   so one lock conflict or a full disk would lock this process out of its only connection for good.
 * MikroORM's statements are not kept prepared, because they contain their values.
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
  // With FULL, a commit blocks the event loop until the disk has written it. With NORMAL, a power failure can lose the commit
  // but no earlier durable one, and a crash of the process loses nothing.
  let synchronous = 'FULL';
  let wanted = 'FULL';
  /** Why the current transaction could not begin. Only that transaction has the connection. */
  let refusal: unknown = null;
  const done = { changes: 0, lastInsertRowid: 0 };
  const begin = {
    reader: false,
    run: () => {
      try {
        if (!isInPlace()) throw new MovedError(file);
        // An earlier rollback may have failed on a full disk.
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
        // On a full disk SQLite has already rolled back, and a second rollback would fail.
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
 * The file has been moved, deleted or replaced since it was opened. SQLite would continue with the old file, and everything
 * written to it, such as a revocation, would be gone at the next start.
 */
class MovedError extends Error {
  readonly code = 'SQLITE_READONLY_DBMOVED';

  constructor(file: string) {
    super(`${file} is no longer the file that was opened: put the original back, or restart`);
  }
}

/** Returns a function that checks whether the path still leads to the same file. */
function watchPlace(file: string): () => boolean {
  const opened = statSync(file);
  return () => {
    const now = statSync(file, { throwIfNoEntry: false });
    return now !== undefined && now.ino === opened.ino && now.dev === opened.dev;
  };
}

const isLocked = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(errorCode(error));

/** Another process has locked the file, or has replaced it since it was opened. */
const isBeingRestored = (error: unknown) => isLocked(error) || errorCode(error) === 'SQLITE_READONLY_DBMOVED';

/** Another process holds the lock, or has created a table after this one checked. A retry resolves both. */
const isOthersMigration = (error: unknown) =>
  isLocked(error) || (error instanceof Error && /already exists|UNIQUE constraint failed/.test(error.message));

const unavailable = /^SQLITE_(BUSY|LOCKED|IOERR|FULL|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM|AUTH|NOMEM|PROTOCOL)/;

function isUnavailable(error: unknown): boolean {
  const isClosed = error instanceof Error && /not open|has already been destroyed|closed/.test(error.message);
  return isClosed || unavailable.test(errorCode(error));
}
