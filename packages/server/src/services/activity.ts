// Last use and request counts, gathered in memory and written together: no request waits for a write.
import type { Clock } from '../clock.ts';
import type { Store } from '../store/database.ts';

const FLUSH_INTERVAL_MS = 5000;
/** SQLite takes 32,766 parameters in a statement and PostgreSQL 65,535; a row takes three. */
const ROWS_PER_STATEMENT = 1000;

interface Use {
  lastSeenAt: number;
  /** Requests that no flush has written yet. */
  requests: number;
}

export interface Activity {
  /** Counts one request of a session, now. */
  record(sessionId: string): void;
  /** The last use that memory knows of (milliseconds since 1970), or 0. */
  lastSeenAt(sessionId: string): number;
  /** Writes what has been gathered. What could not be written is kept for the next time. */
  flush(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts gathering; a crash loses at most five seconds of counters and never a session. */
export function createActivity(store: Store, clock: Clock, onError: (error: unknown) => void): Activity {
  const uses = new Map<string, Use>();
  let flushing: Promise<void> = Promise.resolve();

  const writeAll = async () => {
    const batch = new Map<string, Use>();
    for (const [id, use] of uses) {
      // One that was written before and not used since: the database and every cache know it by now.
      if (use.requests === 0) uses.delete(id);
      else batch.set(id, { ...use });
    }
    const rows = [...batch];
    for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
      const chunk = rows.slice(start, start + ROWS_PER_STATEMENT);
      await store.write((em) =>
        em.execute(
          `with used (id, last_seen_at, requests) as (values ${chunk.map(() => '(?, ?, ?)').join(', ')})
           update sessions set
             last_seen_at = case when used.last_seen_at > sessions.last_seen_at
                            then used.last_seen_at else sessions.last_seen_at end,
             request_count = request_count + used.requests
           from used where sessions.id = used.id`,
          chunk.flatMap(([id, use]) => [id, use.lastSeenAt, use.requests]),
          'run',
        ),
      );
      for (const [id, written] of chunk) {
        const use = uses.get(id);
        if (use) use.requests -= written.requests;
      }
    }
  };

  const flush = () => {
    flushing = flushing.then(writeAll, writeAll);
    return flushing;
  };
  const timer = setInterval(() => flush().catch(onError), FLUSH_INTERVAL_MS).unref();

  return {
    record: (sessionId) => {
      const use = uses.get(sessionId);
      if (use) {
        use.lastSeenAt = clock();
        use.requests++;
      } else {
        uses.set(sessionId, { lastSeenAt: clock(), requests: 1 });
      }
    },
    lastSeenAt: (sessionId) => uses.get(sessionId)?.lastSeenAt ?? 0,
    flush,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await flush().catch(onError);
    },
  };
}
