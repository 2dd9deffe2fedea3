// The interface that each database engine implements for the store, and the ORM that they share.
import { type AbstractSqlDriver, type Configuration, MikroORM, type SqlEntityManager } from '@mikro-orm/sql';
import type { Dialect } from 'kysely';
import { entities } from './entities.ts';
import { LEDGER } from './ledger.ts';
import { migrationsList, migratorExtension } from './migrations/migrator.ts';

/** One unit of work on the database, on any engine. */
export type EntityManager = SqlEntityManager;
export type Orm = MikroORM<AbstractSqlDriver, EntityManager>;

/** How many connections there are, by their use. */
export interface PoolFigures {
  busy: number;
  idle: number;
  /** Requests that wait for a connection. */
  waiting: number;
}

export interface Engine {
  readonly name: 'sqlite' | 'postgresql';
  readonly orm: Orm;
  /**
   * Runs `work` in a transaction. Another process cannot change what it has read before it writes. With `durable`, its
   * writes survive a power failure.
   */
  transaction<T>(work: (em: EntityManager) => Promise<T>, options: { durable: boolean }): Promise<T>;
  /** Whether nothing was written and a retry may help: another process was in the way, or a connection broke. */
  isTransient(error: unknown): boolean;
  /** Whether the database itself failed, as opposed to an invalid statement. */
  isUnavailable(error: unknown): boolean;
  /** The longest pause before a retry, in milliseconds. */
  readonly longestPauseMs: number;
  /** Whether the database has responded recently. */
  isAnswering(): boolean;
  /** How the connections are used. Absent on an engine without a pool. */
  pool?(): PoolFigures;
  /** Applies the pending migrations. If several processes start at once, only one applies them. */
  migrate(): Promise<void>;
  /** Closes the database after the running work has finished. Rejects new work. */
  close(): Promise<void>;
}

/** Opens the ORM over an engine's Kysely dialect. */
export async function openOrm(
  driver: new (config: Configuration) => AbstractSqlDriver,
  options: { dialect: Dialect; dbName: string },
): Promise<Orm> {
  return MikroORM.init({
    driver,
    entities,
    dbName: options.dbName,
    driverOptions: options.dialect,
    extensions: [migratorExtension],
    migrations: { migrationsList, snapshot: false, silent: true, tableName: LEDGER },
    disableIdentityMap: true,
    serialization: { forceObject: true },
    logger: () => {},
  });
}
