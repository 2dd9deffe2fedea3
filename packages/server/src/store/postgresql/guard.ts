// Wraps a pooled connection while it is in use. A broken or hanging connection never returns to the pool, and a failed BEGIN
// is reported at the next statement.
import type { PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type pg from 'pg';
import { errorCode } from '../../error-code.ts';
import { isPrepared } from '../prepared.ts';
import { StoreUnavailableError } from '../unavailable.ts';

/** The connection broke during a commit, so it is unknown whether the transaction was committed. */
class UnknownCommitError extends StoreUnavailableError {
  override readonly name = 'UnknownCommitError';
}

/**
 * The write lock, taken first in each transaction that writes. Instances take turns in the order in which they ask for it.
 * Without it, a transaction would only find out at its commit that it conflicts with another, and under load some would
 * never succeed. LOCK takes no snapshot (PostgreSQL, LOCK, Notes), so the next statement sees the latest committed state.
 */
const WRITE_LOCK = 'lock table backchannel_signing_keys in share row exclusive mode';
/** The error codes of engines that have no such lock. There, the transaction that conflicts is retried. */
const noWriteLock = /^(?:0A000|42601)$/;

/** State that all connections of a pool share. */
interface Shared {
  onAnswer(): void;
  hasWriteLock: boolean;
}

/**
 * Wraps one connection while it is in use. A failed BEGIN throws at the next statement, and a failed ROLLBACK never throws,
 * because Kysely 0.29 never releases a connection after one of them threw. A connection that broke, or that still waits for
 * a response, is discarded when it is released.
 */
export function guard(client: pg.PoolClient, shared: Shared): PostgresPoolClient {
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
    // The server rolls back the transaction of a broken connection.
    if (!isBroken)
      await send('rollback').catch(() => {
        isBroken = true;
      });
    return nothing;
  };
  const begin = async (sql: string) => {
    // The store sets an isolation level. A migration does not, and may not have created the table yet.
    const takesLock = shared.hasWriteLock && sql.includes('isolation level');
    try {
      // One message, so one round trip.
      await send(takesLock ? `${sql}; ${WRITE_LOCK}` : sql);
    } catch (error) {
      if (takesLock && noWriteLock.test(errorCode(error))) {
        shared.hasWriteLock = false;
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
      throw new UnknownCommitError('The connection to the database broke during a commit.', { cause: error });
    }
  };
  // Kysely's type also has an overload for cursors, which are not used.
  return { query: query as unknown as PostgresPoolClient['query'], release: () => client.release(isBroken) };
}

/** Numbers the `?` for PostgreSQL. Statements are not prepared by name, because a pooler may not support that. */
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
  // The server shuts down, has crashed or starts up; a session or a transaction was idle for too long.
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '25P03',
]);

/** Whether a connection failed or can no longer be used (PostgreSQL, appendix A: class 08 and the codes above). */
export function isLost(error: unknown): boolean {
  const code = errorCode(error);
  if (lostCodes.has(code) || /^08...$/.test(code)) return true;
  const message = error instanceof Error ? error.message : '';
  return /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client (?:has encountered a connection error|was closed))/.test(
    message,
  );
}
