// The engine for PostgreSQL and for distributed databases with its protocol: any number of instances share one database.
import { IsolationLevel } from '@mikro-orm/core';
import { PostgreSqlDriver } from '@mikro-orm/postgresql';
import { PostgresDialect, type PostgresPool } from 'kysely';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import { errorCode } from '../../error-code.ts';
import { type Engine, type Orm, openOrm } from '../engine.ts';
import { readAsync } from '../reading.ts';
import { retry } from '../retry.ts';
import { readState } from '../state.ts';
import { DatabaseUrlError, UpgradeError } from '../unavailable.ts';
import { connect, ReadOnlyHostError } from './connection.ts';
import { isLost } from './guard.ts';
import { refusePlace } from './place.ts';
import { createPool } from './pool.ts';

/** After this time without a response, the database may be gone, in milliseconds. */
const SILENCE_MS = 500;
/** How long a start waits for a database that is not reachable yet, in milliseconds. */
const START_PATIENCE_MS = 10_000;
/** How long a start waits for another process that is migrating, in milliseconds. */
const MIGRATION_PATIENCE_MS = 60_000;
/** The advisory lock for migrations: `backchan` in ASCII, as an int8. */
const MIGRATION_LOCK = '7089056601338306926';

/** @throws DatabaseUrlError if `sslrootcert`, `sslcert` or `sslkey` names a file that cannot be read */
export async function openPostgres(address: PostgresAddress): Promise<Engine> {
  const pool = createPool(address);
  const orm = await openOrmOn(address, pool);
  return {
    name: 'postgresql',
    orm,
    pool: pool.figures,
    isAnswering: () => performance.now() - pool.answeredAt() < SILENCE_MS,
    // The only level at which a transaction that reads and then writes behaves as if it ran alone.
    transaction: (work) => orm.em.fork().transactional(work, { isolationLevel: IsolationLevel.SERIALIZABLE }),
    isTransient,
    isUnavailable,
    // Retries are mostly for refused connections. This keeps them from happening a thousand times a second.
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
 * Migrates under a lock that ends with its transaction. A session's lock could stay behind in a pooler that shares
 * connections. On an engine without such locks, the migrations of concurrent starts fail and are retried.
 */
async function migrateAlone(address: PostgresAddress, orm: Orm): Promise<void> {
  const lock = await connect(address, { isPatient: true });
  try {
    await lock.query(`begin; set local statement_timeout = ${MIGRATION_PATIENCE_MS}`);
    await lock.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]).catch(async (error: unknown) => {
      if (!['0A000', '42883'].includes(errorCode(error))) throw error;
      await lock.query('rollback');
    });
    await refusePlace(lock, address);
    // Not on the connection with the lock: it would keep these tables locked, too.
    const { pending, unknown, problem } = await readAsync(readState('postgresql'), (sql) => orm.em.execute(sql));
    if (unknown.length > 0) {
      const text = `a newer BackChannel has used ${address.shown} (${unknown.join(', ')})`;
      throw new UpgradeError(`DATABASE_URL: ${text}: run that version or a newer one`);
    }
    if (problem !== null) throw new UpgradeError(`DATABASE_URL: ${address.shown} ${problem}`);
    if (pending.length === 0) return;
    // On a connection without time limits, because changing a large table takes long.
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

/** Serialization failure, deadlock, lock not available, or a host that became a standby. Nothing was written. */
const conflict = /^(?:40001|40P01|55P03|25006)$/;
/** Also unavailable: canceled by an operator, out of resources, system errors, and access denied. */
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

/** Without a lock, another process may have created a table after this one checked. */
const isTransientAtStart = (error: unknown): boolean =>
  (isTransient(error) && !(error instanceof ReadOnlyHostError)) || /^(?:42P07|42710|23505)$/.test(errorCode(error));

/** Turns an error at the start into one sentence that says how to fix it. Any other error is a bug and stays as it is. */
function inWords(address: PostgresAddress, error: unknown): unknown {
  const { shown, user, database } = address;
  const code = errorCode(error);
  const reason = (error instanceof Error ? error.message : String(error)) || code;
  const say = (text: string) => new DatabaseUrlError(`DATABASE_URL: ${text}`, { cause: error });
  if (error instanceof DatabaseUrlError) return error;
  if (code === '3D000')
    return say(`there is no database "${database}" at ${shown}; create it with: createdb ${database}`);
  if (/^28/.test(code) || /password must be a (?:non-empty )?string/.test(reason)) {
    return say(`${shown} rejects user ${user} (${reason}); check the password`);
  }
  if (code === '42501') {
    const schema = /permission denied for schema (\S+)/.exec(reason)?.[1];
    const grant = schema ? `GRANT USAGE, CREATE ON SCHEMA ${schema} TO` : 'give its tables to';
    return say(`${user} may not create or change tables in ${shown} (${reason}); as its owner: ${grant} ${user}`);
  }
  if (/unsupported startup parameter: (?:statement|idle_in_transaction_session)_timeout/.test(reason)) {
    return say(`${shown} is a pooler that does not pass on time limits (${reason}); add statement_timeout=0`);
  }
  if (/does not support SSL/.test(reason)) {
    return say(
      `${shown} does not support encryption; enable it there, or add sslmode=disable if you trust the network`,
    );
  }
  if (/^(?:ERR_TLS|ERR_SSL|CERT|DEPTH|SELF_SIGNED|UNABLE)/.test(code)) {
    return say(
      `the certificate of ${shown} is not trusted (${reason}); set sslrootcert=FILE to its authority's certificate`,
    );
  }
  if (isUnavailable(error)) return say(`${shown} cannot be used (${reason})`);
  return error;
}
