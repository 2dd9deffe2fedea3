// Opens the database, applies migrations and hands out units of work. It knows tables and engines, no rules.
import type { DatabaseAddress } from '../config/values.ts';
import type { Engine, EntityManager, Orm, PoolFigures } from './engine.ts';
import { SessionEntity, type SessionRow, TokenEntity, type TokenRow } from './entities.ts';
import { findOneBy } from './prepared.ts';
import { before, retry } from './retry.ts';
import { asStoreError, StoreUnavailableError } from './unavailable.ts';

export type { EntityManager } from './engine.ts';
export { DatabaseUrlError, StoreUnavailableError, UpgradeError } from './unavailable.ts';

/** How long one piece of work waits, for others or for a database that does not answer, in milliseconds. */
const PATIENCE_MS = 1900;

export interface StoreFigures {
  /** Writes under way, and in the queue for it. */
  writesWaiting: number;
  /** How its connections are used; null where it has one file, and no pool. */
  pool: PoolFigures | null;
}

export interface Store {
  readonly engine: Engine['name'];
  /** Runs `work` on an entity manager of its own, outside a transaction; it may run again. */
  read<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in one transaction, after which nothing that it read has changed meanwhile. It may run again when another
   * process was writing, so it has no other effects. What is answered outlasts a power failure, unless `durable` is false:
   * then it outlasts no more than the process, and on SQLite the event loop does not wait for the disk.
   */
  write<T>(work: (em: EntityManager) => Promise<T>, options?: { durable?: boolean }): Promise<T>;
  /** The row of a session by the SHA-256 of its secret: the gate's question, asked more often than any other. */
  findSession(secretSha256: string): Promise<SessionRow | null>;
  /** The same of a token. */
  findToken(secretSha256: string): Promise<TokenRow | null>;
  /** What keeps the store from serving: nothing, the database, or migrations that have not been applied. */
  missing(): Promise<('database' | 'migrations')[]>;
  /** How busy it is. */
  figures(): StoreFigures;
  /** The ORM itself, for tests of the schema. */
  readonly orm: Orm;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the database and applies the migrations; of several starters one does.
 * @throws DatabaseUrlError when the URL leads nowhere, and UpgradeError when a newer version was at work there, or it
 *   can't be copied before they are applied; each message is one sentence.
 */
export async function openStore(database: DatabaseAddress): Promise<Store> {
  const engine = await openEngine(database);
  const { orm, isTransient, longestPauseMs } = engine;
  try {
    await engine.migrate();
  } catch (error) {
    await engine.close();
    throw asStoreError(error, engine.isUnavailable);
  }

  /** What a piece of work comes to; when it has waited for too long that is a failure, whatever still hangs. */
  const inTime = async <T>(work: (patience: Patience) => Promise<T>): Promise<T> => {
    let lastError: unknown;
    const onTransient = (error: unknown) => {
      lastError = error;
    };
    const patience = { giveUpAt: performance.now() + PATIENCE_MS, isOver: false, onTransient };
    try {
      const { isAnswering } = engine;
      return await before(patience.giveUpAt, work(patience), { isAnswering, findCause: () => lastError });
    } catch (error) {
      patience.isOver = true;
      throw asStoreError(error, engine.isUnavailable);
    }
  };
  const read: Store['read'] = (work) =>
    inTime(({ giveUpAt, onTransient }) =>
      retry(() => work(orm.em.fork()), { giveUpAt, isTransient, longestPauseMs, onTransient }),
    );

  let writing: Promise<unknown> = Promise.resolve();
  let writesWaiting = 0;
  return {
    engine: engine.name,
    orm,
    read,
    // One after another: a writer that waits for another process is not overtaken by its own process's next ones, and
    // these are not in one another's way. Its patience begins in the queue: however many wait, each is answered in time.
    write: (work, { durable = true } = {}) =>
      inTime((patience) => {
        const { giveUpAt, onTransient } = patience;
        writesWaiting++;
        const written = writing.then(() => {
          if (performance.now() > giveUpAt) throw new StoreUnavailableError('Other writes took too long.');
          const attempt = () => engine.transaction(unlessOver(work, patience), { durable });
          return retry(attempt, { giveUpAt, isTransient, longestPauseMs, onTransient });
        });
        const isOver = () => {
          writesWaiting--;
        };
        writing = written.then(isOver, isOver);
        return written;
      }),
    findSession: (secretSha256) => read((em) => findOneBy(em, SessionEntity, 'secretSha256', secretSha256)),
    findToken: (secretSha256) => read((em) => findOneBy(em, TokenEntity, 'secretSha256', secretSha256)),
    missing: async () => {
      try {
        const pending = await inTime(() => orm.migrator.getPending());
        return pending.length > 0 ? ['migrations'] : [];
      } catch {
        return ['database'];
      }
    },
    figures: () => ({ writesWaiting, pool: engine.pool?.() ?? null }),
    [Symbol.asyncDispose]: engine.close,
  };
}

interface Patience {
  /** Of `performance.now()`. */
  readonly giveUpAt: number;
  /** Whether whoever waited has been told that it failed. */
  isOver: boolean;
  /** Told why it is tried again. */
  onTransient(error: unknown): void;
}

/** Work whose transaction is rolled back when nobody waits for it any more. */
function unlessOver<T>(work: (em: EntityManager) => Promise<T>, patience: Patience) {
  return async (em: EntityManager): Promise<T> => {
    const result = await work(em);
    if (patience.isOver) throw new StoreUnavailableError('The work took too long.');
    return result;
  };
}

/** Each engine is loaded when it is asked for: who uses one pays nothing for the other. */
async function openEngine(database: DatabaseAddress): Promise<Engine> {
  if (database.engine === 'sqlite') return (await import('./sqlite/sqlite.ts')).openSqlite(database.file);
  return (await import('./postgresql/postgresql.ts')).openPostgres(database);
}
