// A connection of the pool while it is held: no one that broke or hangs gets back, and a BEGIN that fails is shown later.
import type { PostgresPoolClient, PostgresQueryResult } from 'kysely';
import type pg from 'pg';
import { errorCode } from '../../error-code.ts';
import { isPrepared } from '../prepared.ts';
import { StoreUnavailableError } from '../unavailable.ts';

/** The connection broke while a transaction was being committed: nobody here knows whether it was. */
class UnknownCommitError extends StoreUnavailableError {
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
      if (takesTurn && noTurns.test(errorCode(error))) {
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
  const code = errorCode(error);
  if (lostCodes.has(code) || /^08...$/.test(code)) return true;
  const message = error instanceof Error ? error.message : '';
  return /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client (?:has encountered a connection error|was closed))/.test(
    message,
  );
}
