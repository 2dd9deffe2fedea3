// Last use and request counts, gathered in memory and written together, so that no request waits for a write.
import type { Clock } from '../../clock.ts';
import type { Store } from '../../store/database.ts';
import { addUsesWithin, MAX_USES_PER_STATEMENT } from '../../store/statements/usage.ts';
import { type Principal, principalId } from './principal.ts';

/** How long a use stays in memory after it was written: longer than the gate keeps an answer that was read before. */
const KNOWN_MS = 5000;

/** The last request of a session or token, and how many requests there were. */
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
  /** The last use in memory: when (milliseconds since 1970) and from which address; null if there is none. */
  lastUse(id: string): { at: number; ip: string | null } | null;
  /** How many sessions and tokens have a use in memory that the database may not have yet. */
  size(): number;
  /** Writes what has been gathered. What could not be written is kept for the next time. */
  flush(): Promise<void>;
}

/** A crash loses the counters since the last flush, and never a session. */
export function createActivity(store: Store, clock: Clock): Activity {
  const uses = new Map<string, Use>();
  let flushing: Promise<void> = Promise.resolve();

  const writeAll = async () => {
    const batch: [string, Use][] = [];
    for (const [id, use] of uses) {
      if (use.requests > 0) batch.push([id, { ...use }]);
      // Also one that is in the future since the clock was set back.
      else if (Math.abs(clock() - use.at) > KNOWN_MS) uses.delete(id);
    }
    for (const kind of ['session', 'token'] as const) {
      const rows = batch.filter(([, use]) => use.kind === kind).map(([id, use]) => ({ id, ...use }));
      for (let start = 0; start < rows.length; start += MAX_USES_PER_STATEMENT) {
        const chunk = rows.slice(start, start + MAX_USES_PER_STATEMENT);
        // Counters only, so nobody waits for the disk.
        await store.write((em) => addUsesWithin(em, kind, chunk), { durable: false });
        for (const { id, requests } of chunk) {
          const use = uses.get(id);
          if (use) use.requests -= requests;
        }
      }
    }
  };

  return {
    record: (principal, ip) => {
      const id = principalId(principal);
      const requests = (uses.get(id)?.requests ?? 0) + 1;
      uses.set(id, { kind: principal.kind, at: clock(), ip, requests });
    },
    lastUse: (id) => uses.get(id) ?? null,
    size: () => uses.size,
    flush: () => {
      flushing = flushing.then(writeAll, writeAll);
      return flushing;
    },
  };
}
