// Connections to PostgreSQL: a pool over one host or several, as Kysely's dialect takes it. What it adds to pg's own: it
// goes on to the next host when one can't be used, guards those it gives out, and ends while some are being made.
import type { PostgresPool } from 'kysely';
import pg from 'pg';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import type { PoolFigures } from '../engine.ts';
import { StoreUnavailableError } from '../unavailable.ts';
import { connectionOptions, refuseReadOnly } from './connection.ts';
import { guard } from './guard.ts';

interface Pool extends PostgresPool {
  /**
   * From now on nobody gets a connection; done when those that are being made have been given out. A pool that is ended
   * before would never come to its end: Kysely 0.29 loses a connection that comes while it lets go of its pool.
   */
  refuse(): Promise<void>;
  figures(): PoolFigures;
  /** When a statement was last answered, of `performance.now()`. */
  answeredAt(): number;
}

/** A pool whose idle connections may break at any time: it notices when one is asked for. */
export function createPool(address: PostgresAddress, options: { isPatient?: boolean } = {}): Pool {
  const { hosts } = address;
  const connecting = new Set<Promise<unknown>>();
  let isRefusing = false;
  let turn = 0;
  let answeredAt = 0;
  const onAnswer = () => {
    answeredAt = performance.now();
  };
  const shared = { onAnswer, hasTurns: true };
  class FailoverClient extends pg.Client {
    constructor(options: pg.ClientConfig) {
      // The pool keeps the password where a spread does not find it.
      super({ ...options, password: options.password, ...hosts[turn % hosts.length] });
    }
  }
  const pool = new pg.Pool({
    ...connectionOptions(address, options),
    // The type leaves out what the pool calls it with.
    Client: FailoverClient as unknown as new () => pg.ClientBase,
    max: address.poolSize,
    idleTimeoutMillis: 60_000,
    onConnect: (client) => refuseReadOnly(client, address),
  });
  // Without a listener an idle connection's end would be the process's. The pool has dropped it already.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));

  const connectToAny = async () => {
    let failure: unknown;
    for (const _ of hosts) {
      try {
        return guard(await pool.connect(), shared);
      } catch (error) {
        failure = error;
        turn++;
      }
    }
    throw failure;
  };

  return {
    options: pool.options,
    connect: () => {
      if (isRefusing)
        return Promise.reject(new StoreUnavailableError('The database cannot be used: it is being closed.'));
      const connection = connectToAny();
      connecting.add(connection);
      const forget = () => connecting.delete(connection);
      connection.then(forget, forget);
      return connection;
    },
    refuse: async () => {
      isRefusing = true;
      await Promise.allSettled(connecting);
    },
    end: async () => {
      if (!pool.ending) await pool.end();
    },
    answeredAt: () => answeredAt,
    figures: () => {
      const { totalCount, idleCount, waitingCount } = pool;
      return { busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
    },
  };
}
