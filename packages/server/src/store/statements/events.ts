// Events, by id. An id begins with the time in milliseconds, so a range of time is a range of ids.
import type { EntityManager } from '../engine.ts';
import { EventEntity, type EventRow } from '../entities.ts';
import { count, find } from '../prepared.ts';

/** Newest first: those before `before` (an id), of one type if `type` is given. */
export function findEventsWithin(
  em: EntityManager,
  { limit, before, type }: { limit: number; before?: string | undefined; type?: string | undefined },
): Promise<EventRow[]> {
  const conditions = [...(type ? ['type = ?'] : []), ...(before ? ['id < ?'] : [])].join(' and ');
  const values = [...(type ? [type] : []), ...(before ? [before] : []), limit];
  return find(em, EventEntity, `${conditions && `where ${conditions}`} order by id desc limit ?`, values);
}

/** How many events of a type there are from this id on. */
export const countEventsFromWithin = (em: EntityManager, type: string, firstId: string): Promise<number> =>
  count(em, EventEntity, 'where type = ? and id >= ?', [type, firstId]);

/**
 * How many events of a type there are in each range of ids, from the first of `bounds` to the second, and so on. The counts
 * come from the index; no row is read.
 */
export async function countEventsBetweenWithin(
  em: EntityManager,
  type: string,
  bounds: readonly string[],
): Promise<number[]> {
  const starts = bounds.slice(0, -1);
  const ranges = starts.map(() => '(?, ?)').join(', ');
  const statement = `with ranges (first_id, next_id) as (values ${ranges}) select first_id as first,
    (select count(*) from backchannel_events where type = ? and id >= first_id and id < next_id) as count from ranges`;
  const parameters = starts.flatMap((start, index) => [start, bounds[index + 1] ?? start]);
  const rows = await em.execute<{ first: string; count: number | string }[]>(statement, [...parameters, type]);
  const counts = new Map(rows.map(({ first, count }) => [first, Number(count)]));
  return starts.map((start) => counts.get(start) ?? 0);
}
