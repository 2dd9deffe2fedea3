// Last use and request counts, gathered in memory and written together: no request waits for a write.
import type { Clock } from '../../clock.ts';
import type { Store } from '../../store/database.ts';
import type { Principal } from './principal.ts';

const FLUSH_INTERVAL_MS = 5000;
/** How long a use is known here after it was written: by then no answer is kept that was read before (see gate.ts). */
const KNOWN_MS = 5000;
/** SQLite takes 32,766 parameters in a statement and PostgreSQL 65,535; a row takes four at most. */
const ROWS_PER_STATEMENT = 1000;

/** The last request of a session or token, and how many there were. */
interface Use {
  kind: Principal['kind'];
  at: number;
  ip: string | null;
  /** Requests that no flush has written yet. */
  requests: number;
}

export interface Activity {
  /** Counts one request of a session or token, now. */
  record(principal: Principal, ip: string | null): void;
  /** The last use that memory knows of: when (milliseconds since 1970) and from where; null when it knows of none. */
  lastUse(id: string): { at: number; ip: string | null } | null;
  /** Of how many sessions and tokens memory knows a use that the database may not have yet. */
  size(): number;
  /** Writes what has been gathered. What could not be written is kept for the next time. */
  flush(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts gathering; a crash loses at most five seconds of counters and never a session. */
export function createActivity(store: Store, clock: Clock, onError: (error: unknown) => void): Activity {
  const uses = new Map<string, Use>();
  let flushing: Promise<void> = Promise.resolve();

  const writeAll = async () => {
    const batch: [string, Use][] = [];
    for (const [id, use] of uses) {
      if (use.requests > 0) batch.push([id, { ...use }]);
      else if (clock() - use.at > KNOWN_MS) uses.delete(id);
    }
    for (const kind of ['session', 'token'] as const) {
      const rows = batch.filter(([, use]) => use.kind === kind);
      for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
        const chunk = rows.slice(start, start + ROWS_PER_STATEMENT);
        await writeChunk(store, kind, chunk);
        for (const [id, written] of chunk) {
          const use = uses.get(id);
          if (use) use.requests -= written.requests;
        }
      }
    }
  };

  const flush = () => {
    flushing = flushing.then(writeAll, writeAll);
    return flushing;
  };
  const timer = setInterval(() => flush().catch(onError), FLUSH_INTERVAL_MS).unref();

  return {
    record: (principal, ip) => {
      const id = principal.kind === 'session' ? principal.session.id : principal.token.id;
      const requests = (uses.get(id)?.requests ?? 0) + 1;
      uses.set(id, { kind: principal.kind, at: clock(), ip, requests });
    },
    lastUse: (id) => uses.get(id) ?? null,
    size: () => uses.size,
    flush,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await flush().catch(onError);
    },
  };
}

/** One statement for many rows; of two instances the later use stands. */
async function writeChunk(store: Store, kind: Principal['kind'], chunk: readonly [string, Use][]): Promise<void> {
  // The casts are for PostgreSQL, which takes every parameter of such a list for text.
  const values = chunk.map(() => '(?, cast(? as bigint), ?, cast(? as bigint))').join(', ');
  const seen = kind === 'session' ? 'last_seen_at' : 'last_used_at';
  const isLater = `used.at > coalesce(${kind}s.${seen}, 0)`;
  const ip = kind === 'token' ? `last_used_ip = case when ${isLater} then used.ip else tokens.last_used_ip end,` : '';
  const statement = `with used (id, at, ip, requests) as (values ${values})
    update ${kind}s set ${ip}
      ${seen} = case when ${isLater} then used.at else ${kind}s.${seen} end,
      request_count = request_count + used.requests
    from used where ${kind}s.id = used.id`;
  const parameters = chunk.flatMap(([id, use]) => [id, use.at, use.ip, use.requests]);
  // Counters only: the disk need not have them before anybody goes on.
  await store.write((em) => em.execute(statement, parameters, 'run'), { durable: false });
}
