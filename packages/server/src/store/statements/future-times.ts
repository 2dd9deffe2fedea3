// Times that are later than now, as a clock that was wrong leaves them. services/future-times.ts says what they mean.
import type { EntityManager } from '../engine.ts';
import { run } from '../prepared.ts';

/** What replaces a time after `latest`: `now`, or `createdAt` for when a session was created. All in milliseconds since 1970. */
export interface Correction {
  readonly latest: number;
  readonly now: number;
  readonly createdAt: number;
}

/** Returns how many rows it has changed. */
export async function correctFutureTimesWithin(em: EntityManager, correction: Correction): Promise<number> {
  const { latest, now, createdAt } = correction;
  const capped = (column: string) => `${column} = case when ${column} > ? then ? else ${column} end`;
  const statements: [statement: string, values: number[]][] = [
    [
      // Every use of a session is later than its creation and its step-up, and this column has an index.
      `update backchannel_sessions set ${capped('created_at')}, ${capped('last_seen_at')},
         stepped_up_at = case when stepped_up_at > ? then null else stepped_up_at end where last_seen_at > ?`,
      [latest, createdAt, latest, now, latest, latest],
    ],
    [
      // A token lives as long as it was meant to.
      `update backchannel_tokens set expires_at = expires_at - (created_at - ?), created_at = ? where created_at > ?`,
      [now, now, latest],
    ],
    ['update backchannel_tokens set last_used_at = ? where last_used_at > ?', [now, latest]],
    [
      `update backchannel_throttle set ${capped('first_at')}, ${capped('last_at')}, ${capped('told_at')} where last_at > ? or first_at > ?`,
      [latest, now, latest, now, latest, now, latest, latest],
    ],
    [
      `update backchannel_devices set ${capped('created_at')}, last_seen_at = ? where last_seen_at > ?`,
      [latest, now, now, latest],
    ],
  ];
  let count = 0;
  for (const [statement, values] of statements) {
    const { affected } = await run(em, statement, values);
    count += affected;
  }
  return count;
}
