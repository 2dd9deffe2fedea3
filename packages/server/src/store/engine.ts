// What differs between the engines behind the store, and the ORM that is the same on each.
import { Migrator } from '@mikro-orm/migrations';
import { type AbstractSqlDriver, type Configuration, MikroORM, type SqlEntityManager } from '@mikro-orm/sql';
import type { Dialect } from 'kysely';
import { entities } from './entities.ts';
import { migrations } from './migrations/index.ts';

/** One unit of work on the database, whichever engine it is. */
export type EntityManager = SqlEntityManager;
export type Orm = MikroORM<AbstractSqlDriver, EntityManager>;

/** How many connections there are, and how they are used. */
export interface PoolFigures {
  busy: number;
  idle: number;
  /** Who waits for one. */
  waiting: number;
}

export interface Engine {
  readonly name: 'sqlite' | 'postgresql';
  readonly orm: Orm;
  /**
   * Runs `work` in a transaction that cannot miss what another process wrote between its reads and its writes. With `durable`,
   * what it writes survives a power failure.
   */
  transaction<T>(work: (em: EntityManager) => Promise<T>, options: { durable: boolean }): Promise<T>;
  /** Whether nothing was done and trying again may help: another process was in the way, or a connection broke. */
  isTransient(error: unknown): boolean;
  /** Whether the database is what failed, not what was asked of it. */
  isUnavailable(error: unknown): boolean;
  /** The longest pause before another try, in milliseconds. */
  readonly longestPauseMs: number;
  /** Whether the database has answered anything a moment ago. */
  isAnswering(): boolean;
  /** How its connections are used, where it has a pool of them. */
  pool?(): PoolFigures;
  /** Applies the migrations that are missing; of several starters one does. */
  migrate(): Promise<void>;
  /** Lets go of the database when what is under way is done; what comes later is refused. */
  close(): Promise<void>;
}

/** The ORM over a Kysely dialect that an engine brings. */
export async function openOrm(
  driver: new (config: Configuration) => AbstractSqlDriver,
  options: { dialect: Dialect; dbName: string },
): Promise<Orm> {
  return MikroORM.init({
    driver,
    entities,
    dbName: options.dbName,
    driverOptions: options.dialect,
    extensions: [Migrator],
    migrations: { migrationsList: migrations, snapshot: false, silent: true, tableName: 'migrations' },
    disableIdentityMap: true,
    serialization: { forceObject: true },
    logger: () => {},
  });
}
