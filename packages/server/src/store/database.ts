// Opens the database, applies migrations and hands out units of work. It knows tables and engines, no rules.
import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Migrator } from '@mikro-orm/migrations';
import { type EntityManager, MikroORM } from '@mikro-orm/sqlite';
import Sqlite from 'better-sqlite3';
import { SqliteDialect } from 'kysely';
import { prepareDataFolder } from './data-folder.ts';
import { entities } from './entities.ts';
import { migrations } from './migrations/index.ts';
import { prepareUpgrade } from './upgrade.ts';

/** How long a writer waits for another process's write before it gives up, in milliseconds. */
const WRITE_PATIENCE_MS = 2000;
/** How long a starter waits for another one that migrates the same database, in milliseconds. */
const START_PATIENCE_MS = 10_000;
/** better-sqlite3 waits synchronously: longer, and a second process would freeze the event loop. */
const BUSY_TIMEOUT_MS = 25;

/** The database cannot be used now: gone, full, read-only, or another process keeps it busy. Callers answer 503. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

export interface StoreFigures {
  /** Writes under way, and in the queue for it. */
  writesWaiting: number;
}

export interface Store {
  /** Runs `work` on an entity manager of its own, outside a transaction. */
  read<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
  /** Runs `work` in one transaction; it may run again when another process was writing, so it has no other effects. */
  write<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
  /** What keeps the store from serving: nothing, the database, or migrations that have not been applied. */
  missing(): Promise<('database' | 'migrations')[]>;
  /** How busy it is. */
  figures(): StoreFigures;
  /** The ORM itself, for tests of the schema. */
  readonly orm: MikroORM;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the SQLite file (made where it is not there) and applies the migrations; of several starters one does.
 * @throws UpgradeError when a newer version was at work on it, or it can't be copied before they are applied.
 */
export async function openStore(database: { engine: 'sqlite'; file: string }): Promise<Store> {
  const giveUpAt = performance.now() + START_PATIENCE_MS;
  const dialect = await retryWhileBusy(async () => openSqlite(database.file), { giveUpAt, isBusy: isBeingRestored });
  await retryWhileBusy(async () => prepareUpgrade(database.file), { giveUpAt });
  const orm = await MikroORM.init({
    entities,
    dbName: database.file,
    driverOptions: dialect,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, snapshot: false, silent: true, tableName: 'migrations' },
    disableIdentityMap: true,
    serialization: { forceObject: true },
    logger: () => {},
  });
  try {
    await retryWhileBusy(() => orm.migrator.up(), { giveUpAt, isBusy: isOthersMigration });
  } catch (error) {
    await orm.close(true);
    throw error;
  }

  let writing: Promise<unknown> = Promise.resolve();
  let writesWaiting = 0;
  return {
    orm,
    read: async (work) => {
      try {
        return await work(orm.em.fork());
      } catch (error) {
        throw asStoreError(error);
      }
    },
    write: (work) => {
      // One after another: a writer that waits for another process is not overtaken by its own process's next ones.
      // Its patience begins now, in the queue: however many wait, each is answered in time.
      const giveUpAt = performance.now() + WRITE_PATIENCE_MS;
      writesWaiting++;
      const written = writing.then(() => retryWhileBusy(() => orm.em.fork().transactional(work), { giveUpAt }));
      const isOver = () => {
        writesWaiting--;
      };
      writing = written.then(isOver, isOver);
      return written;
    },
    missing: async () => {
      try {
        const pending = await orm.migrator.getPending();
        return pending.length > 0 ? ['migrations'] : [];
      } catch {
        return ['database'];
      }
    },
    figures: () => ({ writesWaiting }),
    [Symbol.asyncDispose]: () => orm.close(true),
  };
}

/**
 * better-sqlite3 behind Kysely's dialect, with two changes: a transaction takes the write lock when it begins, so that
 * reading and then writing in it can't fail on a snapshot that another process aged; and a BEGIN that fails shows it at
 * the first statement. Kysely 0.29 never gives a connection back whose BEGIN threw: one busy moment would lock this
 * process out of its only connection for good. Statements are not kept prepared: MikroORM writes their values into them.
 */
function openSqlite(file: string): SqliteDialect {
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

async function retryWhileBusy<T>(
  attempt: () => Promise<T>,
  options: { giveUpAt: number; isBusy?: (error: unknown) => boolean },
): Promise<T> {
  const { giveUpAt, isBusy = isLocked } = options;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAt) throw asStoreError(error);
      await sleep(2 + Math.random() * 18);
    }
  }
}

function sqliteCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

const isLocked = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error));

/** Somebody keeps the file to themselves, or has put another one in its place since it was opened. */
const isBeingRestored = (error: unknown) => isLocked(error) || sqliteCode(error) === 'SQLITE_READONLY_DBMOVED';

/** Another instance holds the lock, or has made a table between our look and our try: looking again settles it. */
const isOthersMigration = (error: unknown) =>
  isLocked(error) || (error instanceof Error && /already exists|UNIQUE constraint failed/.test(error.message));

const unavailable = /^SQLITE_(BUSY|LOCKED|IOERR|FULL|READONLY|CANTOPEN|CORRUPT|NOTADB|PERM|AUTH|NOMEM|PROTOCOL)/;

function asStoreError(error: unknown): unknown {
  if (error instanceof StoreUnavailableError) return error;
  const isClosed = error instanceof Error && /not open|has already been destroyed|closed/.test(error.message);
  if (!unavailable.test(sqliteCode(error)) && !isClosed) return error;
  return new StoreUnavailableError('The database cannot be used at the moment.', { cause: error });
}
