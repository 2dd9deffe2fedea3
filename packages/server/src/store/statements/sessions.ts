// Queries for live sessions, by the last use that the database has recorded. services/sessions/ decides when a session ends.
import type { EntityManager } from '../engine.ts';
import { SessionEntity, type SessionRow } from '../entities.ts';
import { count, find } from '../prepared.ts';

/** A live session was created after `createdAt`, and is remembered or was used after `lastSeenAt` (milliseconds since 1970). */
export interface LiveAfter {
  readonly createdAt: number;
  readonly lastSeenAt: number;
}

const live = 'where ended_at is null and created_at > ? and (remembered or last_seen_at > ?)';

/** Live sessions, latest sign-in first. */
export const findLiveSessionsWithin = (em: EntityManager, after: LiveAfter): Promise<SessionRow[]> =>
  find(em, SessionEntity, `${live} order by created_at desc, id desc`, [after.createdAt, after.lastSeenAt]);

export const countLiveSessionsWithin = (em: EntityManager, after: LiveAfter): Promise<number> =>
  count(em, SessionEntity, live, [after.createdAt, after.lastSeenAt]);

/** How many live sessions there are besides this one. */
export const countOtherLiveSessionsWithin = (em: EntityManager, id: string, after: LiveAfter): Promise<number> =>
  count(em, SessionEntity, `${live} and id <> ?`, [after.createdAt, after.lastSeenAt, id]);

/** The least recently used live sessions besides this one. */
export const findLeastRecentOtherSessionsWithin = (
  em: EntityManager,
  id: string,
  { after, limit }: { after: LiveAfter; limit: number },
): Promise<SessionRow[]> =>
  find(em, SessionEntity, `${live} and id <> ? order by last_seen_at limit ?`, [
    after.createdAt,
    after.lastSeenAt,
    id,
    limit,
  ]);
