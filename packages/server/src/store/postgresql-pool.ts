// Connections to PostgreSQL: a pool over one host or several, as Kysely's dialect takes it. What it adds to pg's own: it
// goes on to the next host when one can't be used, and no connection that broke or hangs gets back into the pool.
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely';
import pg from 'pg';
import type { PostgresAddress } from '../config/postgresUrl.ts';
import type { PoolFigures } from './engine.ts';
import { isPrepared } from './prepared.ts';
import { codeOf, DatabaseUrlError, StoreUnavailableError } from './unavailable.ts';

/** A transaction of an instance that is gone without a word is ended by the server after so long, in milliseconds. */
const IDLE_IN_TRANSACTION_MS = 10_000;
/** How much longer than the server's own limit an answer is waited for, in milliseconds. */
const ANSWER_GRACE_MS = 1000;

/** OID of bigint. All of ours are times in milliseconds and counts, far below 2^53. */
const BIGINT = 20;

/** What pg needs for a connection; host and port are for the caller to choose. */
export function connectionOptions(address: PostgresAddress): pg.ClientConfig {
  const types = new pg.TypeOverrides();
  types.setTypeParser(BIGINT, Number);
  const { user, password, database, options, statementTimeoutMs } = address;
  return {
    user,
    // As a function it is in no dump of this object; and without one, pg would look for a password of its own.
    password: () => password ?? '',
    database,
    ssl: tlsOptions(address),
    application_name: address.applicationName,
    ...(options !== null && { options }),
    ...(statementTimeoutMs > 0 && {
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    }),
    connectionTimeoutMillis: address.connectTimeoutMs,
    keepAlive: true,
    types,
  };
}

/** As libpq understands sslmode: `require` encrypts, `verify-ca` asks who signed, `verify-full` also for which host. */
function tlsOptions({ tlsMode, tlsFiles }: PostgresAddress): false | ConnectionOptions {
  if (tlsMode === null || tlsMode === 'disable') return false;
  const { rootCert, cert, key } = tlsFiles;
  const isVerified = tlsMode !== 'require' || rootCert !== undefined;
  return {
    ...(rootCert !== undefined && { ca: readPem('sslrootcert', rootCert) }),
    ...(cert !== undefined && { cert: readPem('sslcert', cert) }),
    ...(key !== undefined && { key: readPem('sslkey', key) }),
    rejectUnauthorized: isVerified,
    ...(tlsMode !== 'verify-full' && { checkServerIdentity: () => undefined }),
  };
}

function readPem(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new DatabaseUrlError(`DATABASE_URL: ${parameter}: ${path} cannot be read (${codeOf(error)}).`, {
      cause: error,
    });
  }
}

/** A connection of its own, beside any pool, from the first host that can be used. The caller ends it. */
export async function connect(address: PostgresAddress): Promise<pg.Client> {
  let failure: unknown;
  for (const { host, port } of address.hosts) {
    const client = new pg.Client({ ...connectionOptions(address), host, port });
    client.on('error', () => {});
    try {
      await client.connect();
      await refuseReadOnly(client, address);
      return client;
    } catch (error) {
      failure = error;
      await client.end().catch(() => {});
    }
  }
  throw failure;
}

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
export function createPool(address: PostgresAddress): Pool {
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
    ...connectionOptions(address),
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

/** With several hosts one may be a standby, or have become one. */
async function refuseReadOnly(client: pg.ClientBase, { hosts }: PostgresAddress): Promise<void> {
  if (hosts.length < 2) return;
  const { rows } = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
  if (rows[0]?.transaction_read_only === 'on') throw new ReadOnlyHostError('This host takes no writes.');
}

export class ReadOnlyHostError extends Error {
  override readonly name = 'ReadOnlyHostError';
}

/** The connection broke while a transaction was being committed: nobody here knows whether it was. */
export class UnknownCommitError extends StoreUnavailableError {
  override readonly name = 'UnknownCommitError';
}

/**
 * The first thing in each transaction that writes: instances take turns, in the order in which they came. Without
 * that the later one would find out at its end that it was too late, and under load some would never be in time. It takes
 * no snapshot (PostgreSQL, LOCK, Notes), so what is read next is what the one before has left.
 */
const TURN = 'lock table signing_keys in share row exclusive mode';
/** Said by engines that know no such lock: there the one that was too late is run again. */
const noTurns = /^(?:0A000|42601)$/;

/** What all connections of a pool share. */
interface Shared {
  onAnswer(): void;
  hasTurns: boolean;
}

/**
 * One connection for as long as it is held. A BEGIN that fails shows it at the first statement after it, a ROLLBACK
 * not at all: Kysely 0.29 never gives a connection back where one of them threw. One that broke, or whose answer is
 * still due, is thrown away when it is released.
 */
function guard(client: pg.PoolClient, shared: Shared): PostgresPoolClient {
  const nothing: PostgresQueryResult<never> = { command: 'SELECT', rowCount: 0, rows: [] };
  let refusal: unknown = null;
  let isBroken = false;
  const send = async (sql: string, parameters: readonly unknown[] = []) => {
    try {
      const answer = await client.query(isPrepared(sql) ? numberValues(sql) : sql, [...parameters]);
      shared.onAnswer();
      return answer;
    } catch (error) {
      isBroken ||= isLost(error);
      throw error;
    }
  };
  const rollBack = async () => {
    // The server rolls back by itself what it hears no more of.
    if (!isBroken)
      await send('rollback').catch(() => {
        isBroken = true;
      });
    return nothing;
  };
  const begin = async (sql: string) => {
    // With an isolation level it is the store's; without one it is a migration, which may not have made the table yet.
    const takesTurn = shared.hasTurns && sql.includes('isolation level');
    try {
      // In one message, and so in one round trip.
      await send(takesTurn ? `${sql}; ${TURN}` : sql);
    } catch (error) {
      if (takesTurn && noTurns.test(codeOf(error))) {
        shared.hasTurns = false;
        await rollBack();
        await begin(sql);
      } else refusal = error;
    }
    return nothing;
  };
  const query = async (sql: string, parameters?: readonly unknown[]) => {
    if (sql === 'rollback') return rollBack();
    if (refusal !== null) throw refusal;
    if (/^(?:begin|start transaction)\b/.test(sql)) return begin(sql);
    try {
      return await send(sql, parameters);
    } catch (error) {
      if (!isBroken || sql !== 'commit') throw error;
      throw new UnknownCommitError('The database broke off during a commit.', { cause: error });
    }
  };
  // Kysely's type has a form for cursors, too, of which there are none.
  return { query: query as unknown as PostgresPoolClient['query'], release: () => client.release(isBroken) };
}

/** PostgreSQL's way to say where values go. They are not prepared by name there: a pooler in between may not pass that on. */
function numberValues(sql: string): string {
  let number = 0;
  return sql.replaceAll('?', () => `$${++number}`);
}

const lostCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  // The server shuts down, restarts, has crashed, or starts up; an idle session or transaction took too long.
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '25P03',
]);

/** Whether a connection could not be made, or is of no use any more (PostgreSQL, appendix A: class 08 and the above). */
export function isLost(error: unknown): boolean {
  const code = codeOf(error);
  if (lostCodes.has(code) || /^08...$/.test(code)) return true;
  const message = error instanceof Error ? error.message : '';
  return /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client (?:has encountered a connection error|was closed))/.test(
    message,
  );
}
