// Rows of the instances that share a PostgreSQL database.
import type { EntityManager } from '../engine.ts';
import type { InstanceRow } from '../entities.ts';

/** The database's own clock, in milliseconds since 1970: those of the instances may differ. */
export async function databaseTimeWithin(em: EntityManager): Promise<number> {
  const [row] = await em.execute<{ now: number | string }[]>(
    'select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as now',
  );
  return Number(row?.now);
}

/** Writes a heartbeat. An instance that has no row, or lost it, gets one. */
export const writeHeartbeatWithin = (
  em: EntityManager,
  { id, host, password, joinedAt, seenAt }: InstanceRow,
): Promise<unknown> =>
  em.execute(
    `insert into backchannel_instances (id, host, password, joined_at, seen_at) values (?, ?, ?, ?, ?)
     on conflict (id) do update set seen_at = excluded.seen_at`,
    [id, host, password, joinedAt, seenAt],
    'run',
  );
