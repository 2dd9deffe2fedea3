// A pool of connections to one or more PostgreSQL hosts, for Kysely's dialect. It extends pg's pool: it fails over to the
// next host, guards the connections that it hands out, and can close while connections are being opened.
import type { PostgresPool } from 'kysely';
import pg from 'pg';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import type { PoolFigures } from '../engine.ts';
import { StoreUnavailableError } from '../unavailable.ts';
import { BindingClient, connectionOptions, refuseReadOnly } from './connection.ts';
import { guard } from './guard.ts';

interface Pool extends PostgresPool {
  /**
   * Rejects all further requests for a connection. Resolves when the connections that are being opened have been handed out.
   * Without this, ending the pool could hang: Kysely 0.29 loses a connection that arrives while it destroys its pool.
   */
  refuse(): Promise<void>;
  figures(): PoolFigures;
  /** When the database last responded to a statement, on the clock of `performance.now()`. */
  answeredAt(): number;
}

/** Creates the pool. Its idle connections may break at any time; it notices when one is requested. */
export function createPool(address: PostgresAddress, options: { isPatient?: boolean } = {}): Pool {
  const { hosts } = address;
  const connecting = new Set<Promise<unknown>>();
  let isRefusing = false;
  let turn = 0;
  let answeredAt = 0;
  const onAnswer = () => {
    answeredAt = performance.now();
  };
  const shared = { onAnswer, hasWriteLock: true };
  class FailoverClient extends BindingClient {
    constructor(options: pg.ClientConfig) {
      super({ ...options, ...hosts[turn % hosts.length] }, address);
    }
  }
  const pool = new pg.Pool({
    ...connectionOptions(address, options),
    // The type omits the constructor's argument.
    Client: FailoverClient as unknown as new () => pg.ClientBase,
    max: address.poolSize,
    idleTimeoutMillis: 60_000,
    onConnect: (client) => refuseReadOnly(client, address),
  });
  // Without a listener, an error on an idle connection would end the process. The pool has already removed the connection.
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
        return Promise.reject(new StoreUnavailableError('The database cannot be used because it is being closed.'));
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
