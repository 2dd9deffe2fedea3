// The throttle's failure counts. services/throttle.ts turns them into waits.
import type { EntityManager } from '../engine.ts';
import { ThrottleEntity, type ThrottleRow } from '../entities.ts';
import { findBy, run } from '../prepared.ts';

/**
 * The counts of these sources, with a new row for each source that has none. Other instances that need one of these rows
 * wait until this transaction ends. `now` is in milliseconds since 1970.
 */
export async function lockCountsWithin(
  em: EntityManager,
  sources: readonly string[],
  now: number,
): Promise<ThrottleRow[]> {
  const values = sources.map(() => '(?, 0, ?, ?, 0)').join(', ');
  await run(
    em,
    `insert into backchannel_throttle (source, failures, first_at, last_at, told_at) values ${values}
     on conflict (source) do update set failures = backchannel_throttle.failures`,
    sources.flatMap((source) => [source, now, now]),
  );
  return findBy(em, ThrottleEntity, 'source', sources);
}

/** Subtracts one failure of a source. */
export const uncountOneWithin = (em: EntityManager, source: string) =>
  run(em, 'update backchannel_throttle set failures = failures - 1 where source = ? and failures > 0', [source]);

/** Deletes the count of a source. */
export const clearCountWithin = (em: EntityManager, source: string) =>
  run(em, 'delete from backchannel_throttle where source = ?', [source]);
