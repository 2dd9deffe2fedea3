// Opens the database, applies migrations and runs units of work. It knows tables and engines, but no business rules.
import type { DatabaseAddress } from '../config/values.ts';
import type { Engine, EntityManager, Orm, PoolFigures } from './engine.ts';
import { SessionEntity, type SessionRow, TokenEntity, type TokenRow } from './entities.ts';
import { findOneBy } from './prepared.ts';
import { before, retry } from './retry.ts';
import { asStoreError, StoreUnavailableError } from './unavailable.ts';

export type { EntityManager } from './engine.ts';
export { DatabaseUrlError, StoreUnavailableError, UpgradeError } from './unavailable.ts';

/** How long one unit of work waits for other work, or for a database that does not respond, in milliseconds. */
const PATIENCE_MS = 1900;

export interface StoreFigures {
  /** Writes that are running or queued. */
  writesWaiting: number;
  /** How the connections are used; null on SQLite, which has no pool. */
  pool: PoolFigures | null;
}

export interface Store {
  readonly engine: Engine['name'];
  /** Runs `work` on a new entity manager, outside a transaction. It may run more than once. */
  read<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in one transaction. Once it commits, nothing that it read has changed in the meantime. It may run again if
   * another process was writing, so it must have no other effects. A committed write survives a power failure, unless
   * `durable` is false: then it survives only a crash of the process, and on SQLite the event loop does not wait for the disk.
   */
  write<T>(work: (em: EntityManager) => Promise<T>, options?: { durable?: boolean }): Promise<T>;
  /** The row of a session by the SHA-256 of its secret. The gate runs this query more often than any other. */
  findSession(secretSha256: string): Promise<SessionRow | null>;
  /** The same for a token. */
  findToken(secretSha256: string): Promise<TokenRow | null>;
  /** Why the store cannot serve: an unreachable database, or migrations that are not applied. Empty if it can. */
  missing(): Promise<('database' | 'migrations')[]>;
  /** How busy the store is. */
  figures(): StoreFigures;
  /** The ORM itself, for tests of the schema. */
  readonly orm: Orm;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the database and applies the migrations. If several processes start at once, only one applies them.
 * @throws DatabaseUrlError if the URL does not lead to a usable database
 * @throws UpgradeError if a newer version has used the database, or if it cannot be copied before the migrations. Each
 *   message is one sentence.
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

  /** The result of a unit of work. It fails when its time is over, even if something still hangs. */
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
    // Writes run one after another. So a write that waits for another process is not overtaken by later writes of this
    // process, and these do not conflict with each other. The time limit starts in the queue, so every caller gets a
    // response in time, however long the queue is.
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
  /** On the clock of `performance.now()`. */
  readonly giveUpAt: number;
  /** Whether the caller has already received an error. */
  isOver: boolean;
  /** Called with the error before each retry. */
  onTransient(error: unknown): void;
}

/** Rolls back the transaction of `work` if its caller no longer waits. */
function unlessOver<T>(work: (em: EntityManager) => Promise<T>, patience: Patience) {
  return async (em: EntityManager): Promise<T> => {
    const result = await work(em);
    if (patience.isOver) throw new StoreUnavailableError('The transaction took too long.');
    return result;
  };
}

/** Loads an engine only when it is needed, so using one does not cost the start-up time and memory of the other. */
async function openEngine(database: DatabaseAddress): Promise<Engine> {
  if (database.engine === 'sqlite') return (await import('./sqlite/sqlite.ts')).openSqlite(database.file);
  return (await import('./postgresql/postgresql.ts')).openPostgres(database);
}
