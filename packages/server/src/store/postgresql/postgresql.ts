// PostgreSQL, or a distributed engine that speaks its protocol: any number of instances on one database.
import { IsolationLevel } from '@mikro-orm/core';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { PostgresDialect, type PostgresPool } from 'kysely';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import { errorCode } from '../../error-code.ts';
import { type Engine, type Orm, openOrm } from '../engine.ts';
import { compareMigrations } from '../migrations/index.ts';
import { retry } from '../retry.ts';
import { DatabaseUrlError, UpgradeError } from '../unavailable.ts';
import { connect, ReadOnlyHostError } from './connection.ts';
import { isLost } from './guard.ts';
import { createPool } from './pool.ts';

/** Who has not answered anything for so long may be gone, in milliseconds. */
const SILENCE_MS = 500;
/** How long a start waits for a database that is not there yet, in milliseconds. */
const START_PATIENCE_MS = 10_000;
/** How long a starter waits for another one that is migrating, in milliseconds. */
const MIGRATION_PATIENCE_MS = 60_000;
/** The advisory lock of whoever migrates: `backchan` in ASCII, as an int8. */
const MIGRATION_LOCK = '7089056601338306926';

/** @throws DatabaseUrlError when nothing answers there, or not to us. */
export async function openPostgres(address: PostgresAddress): Promise<Engine> {
  const pool = createPool(address);
  const orm = await openOrmOn(address, pool);
  return {
    name: 'postgresql',
    orm,
    pool: pool.figures,
    isAnswering: () => performance.now() - pool.answeredAt() < SILENCE_MS,
    // The only level at which a transaction that reads and then writes is as if it were alone.
    transaction: (work) => orm.em.fork().transactional(work, { isolationLevel: IsolationLevel.SERIALIZABLE }),
    isTransient,
    isUnavailable,
    // What is tried again is mostly a connection that was refused: not a thousand times a second.
    longestPauseMs: 100,
    migrate: async () => {
      const giveUpAt = performance.now() + START_PATIENCE_MS;
      try {
        await retry(() => migrateAlone(address, orm), {
          giveUpAt,
          isTransient: isTransientAtStart,
          longestPauseMs: 200,
        });
      } catch (error) {
        throw inWords(address, error);
      }
    },
    close: async () => {
      await pool.refuse();
      await orm.close(true);
    },
  };
}

const openOrmOn = (address: PostgresAddress, pool: PostgresPool): Promise<Orm> =>
  openOrm(PostgreSqlDriver, { dialect: new PostgresDialect({ pool }), dbName: address.database });

/**
 * Under a lock that ends with its transaction, and so with its connection; a pooler that hands connections around would keep
 * a session's. An engine without such locks has others' migrations fail, and looks again.
 */
async function migrateAlone(address: PostgresAddress, orm: Orm): Promise<void> {
  const lock = await connect(address, { isPatient: true });
  try {
    await lock.query(`begin; set local statement_timeout = ${MIGRATION_PATIENCE_MS}`);
    await lock.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]).catch((error: unknown) => {
      if (!['0A000', '42883'].includes(errorCode(error))) throw error;
    });
    const executed = await orm.migrator.getExecuted();
    const { pending, unknown } = compareMigrations(executed.map(({ name }) => name));
    if (unknown.length > 0) {
      const text = `a newer BackChannel has been at work on ${address.shown} (${unknown.join(', ')})`;
      throw new UpgradeError(`DATABASE_URL: ${text}: run that version or a newer one`);
    }
    if (pending.length === 0) return;
    // On a connection without limits: what is done to a large table takes its time.
    const unlimited = await openOrmOn(address, createPool({ ...address, poolSize: 1 }, { isPatient: true }));
    try {
      await unlimited.migrator.up();
    } finally {
      await unlimited.close(true);
    }
  } finally {
    await lock.end().catch(() => {});
  }
}

/** Serialization failure, deadlock, lock not available; a host that became a standby. Nothing was done. */
const conflict = /^(?:40001|40P01|55P03|25006)$/;
/** Besides: what an operator ended, resources, the system's errors, and what has been closed to us. */
const unavailable = /^(?:57014|53...|58...|XX...|28...|3D000)$/;

const isTransient = (error: unknown): boolean =>
  conflict.test(errorCode(error)) ||
  isLost(error) ||
  error instanceof ReadOnlyHostError ||
  errorCode(error) === '53300';

function isUnavailable(error: unknown): boolean {
  const isClosed = error instanceof Error && /calling end on the pool|already been destroyed/.test(error.message);
  return isClosed || isTransient(error) || unavailable.test(errorCode(error));
}

/** Without a lock, another one has made a table between our look and our try. */
const isTransientAtStart = (error: unknown): boolean =>
  (isTransient(error) && !(error instanceof ReadOnlyHostError)) || /^(?:42P07|42710|23505)$/.test(errorCode(error));

/** What kept a start from using the database, with what mends it. Anything else is a fault of ours. */
function inWords(address: PostgresAddress, error: unknown): unknown {
  const { shown, user, database } = address;
  const code = errorCode(error);
  const reason = (error instanceof Error ? error.message : String(error)) || code;
  const say = (text: string) => new DatabaseUrlError(`DATABASE_URL: ${text}`, { cause: error });
  if (error instanceof DatabaseUrlError) return error;
  if (code === '3D000') return say(`there is no database "${database}" at ${shown}; make it: createdb ${database}`);
  if (/^28/.test(code) || /password must be a (?:non-empty )?string/.test(reason)) {
    return say(`${shown} does not let ${user} in (${reason}); is the password right?`);
  }
  if (code === '42501') {
    return say(
      `${user} may not make tables in ${shown} (${reason}); as its owner: GRANT CREATE ON SCHEMA public TO ${user}`,
    );
  }
  if (/unsupported startup parameter: (?:statement|idle_in_transaction_session)_timeout/.test(reason)) {
    return say(`${shown} is a pooler that passes no limits on (${reason}); write statement_timeout=0`);
  }
  if (/does not support SSL/.test(reason)) {
    return say(
      `${shown} offers no encryption; set it up there, or write sslmode=disable where the network is your own`,
    );
  }
  if (/^(?:ERR_TLS|ERR_SSL|CERT|DEPTH|SELF_SIGNED|UNABLE)/.test(code)) {
    return say(`the certificate of ${shown} is not accepted (${reason}); sslrootcert=FILE names who signed it`);
  }
  if (isUnavailable(error)) return say(`${shown} cannot be used (${reason})`);
  return error;
}
