// Sessions in the database, within a caller's transaction: which of them live, and how they end.
import type { FilterQuery } from '@mikro-orm/core';
import { type Clock, DAY_MS, MINUTE_MS } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager } from '../../store/database.ts';
import { SessionEntity, type SessionRow } from '../../store/entities.ts';
import { count, find } from '../../store/prepared.ts';
import type { Activity } from '../access/activity.ts';
import { type Lifetimes, type SessionEnds, sessionEnds } from '../access/session-ends.ts';
import type { Client } from '../caller.ts';
import type { Devices } from '../devices.ts';
import type { Events } from '../events.ts';

/** Another instance may hold back a session's latest use this long before it writes it. */
const FLUSH_GRACE_MS = 15_000;

/** A session as it stands now, with when it ends. */
export interface SeenSession {
  session: SessionRow;
  ends: SessionEnds;
}

/** Whether nobody has ended this session so far, as the transaction sees it: what a slow request asks before it writes. */
export const isOpenWithin = async (em: EntityManager, id: string): Promise<boolean> =>
  (await em.count(SessionEntity, { id, endedAt: null })) > 0;

/** Why sessions end, and whom to tell before they do. */
export interface Ending {
  client: Client | null;
  detail?: string;
  /** The gate's, of `whileRevoking`. */
  revoke: (ids: readonly string[]) => void;
}

export function createSessionRows(options: {
  config: Lifetimes & Pick<Config, 'sessionMaxLive'>;
  events: Events;
  devices: Devices;
  activity: Activity;
  clock: Clock;
}) {
  const { config, events, devices, activity, clock } = options;

  /** What every live session's row matches, as far as the database knows of its use. */
  const live = 'where ended_at is null and created_at > ? and (remembered or last_seen_at > ?)';
  const liveSince = () => {
    const now = clock();
    return [now - config.sessionMaxDays * DAY_MS, now - config.sessionExpireMinutes * MINUTE_MS];
  };

  const seen = (row: SessionRow): SeenSession => {
    const session = { ...row, lastSeenAt: Math.max(row.lastSeenAt, activity.lastUse(row.id)?.at ?? 0) };
    return { session, ends: sessionEnds(session, config) };
  };

  const end = (em: EntityManager, ids: readonly string[]) =>
    em.nativeUpdate(SessionEntity, { id: { $in: [...ids] }, endedAt: null }, { endedAt: clock() });

  const asExpired = ({ id }: SessionRow) => ({ type: 'session.expired' as const, sessionId: id });

  /**
   * Ends whichever of these have not ended, with an event each, and forgets the browsers of those that were live. One that
   * has run out ends with the others, for another instance may know of a later use, but it counts as expired.
   */
  const endThose = async (em: EntityManager, which: FilterQuery<SessionRow>, ending: Ending): Promise<number> => {
    const { client, detail, revoke } = ending;
    const rows = await em.find(SessionEntity, { $and: [which, { endedAt: null }] });
    if (rows.length === 0) return 0;
    revoke(rows.map((row) => row.id));
    const now = clock();
    const { revoked = [], expired = [] } = Object.groupBy(rows, (row) =>
      seen(row).ends.expiresAt > now ? 'revoked' : 'expired',
    );
    const ids = revoked.map((row) => row.id);
    await end(
      em,
      rows.map((row) => row.id),
    );
    await devices.forgetThoseOf(em, ids);
    const why = { type: 'session.revoked' as const, client, ...(detail === undefined ? {} : { detail }) };
    await events.record(em, ...ids.map((sessionId) => ({ ...why, sessionId })), ...expired.map(asExpired));
    return ids.length;
  };

  /** Makes room for a new session: the least recently used of the others end. Their browsers stay known. */
  const evict = async (em: EntityManager, { id }: SessionRow, revoke: Ending['revoke']): Promise<void> => {
    const others = [...liveSince(), id];
    const surplus = (await count(em, SessionEntity, `${live} and id <> ?`, others)) - (config.sessionMaxLive - 1);
    if (surplus <= 0) return;
    // No more than these can be among them: of all others the database knows the last use, and it is later.
    const leastRecent = `${live} and id <> ? order by last_seen_at limit ?`;
    const rows = await find(em, SessionEntity, leastRecent, [...others, surplus + activity.size()]);
    const ids = rows
      .map((row) => seen(row).session)
      .sort((a, b) => a.lastSeenAt - b.lastSeenAt)
      .slice(0, surplus)
      .map((row) => row.id);
    revoke(ids);
    await end(em, ids);
    const why = { type: 'session.revoked' as const, detail: 'more than SESSION_MAX_LIVE' };
    await events.record(em, ...ids.map((sessionId) => ({ ...why, sessionId })));
  };

  return {
    seen,
    end,
    endThose,
    evict,
    /** The live ones, the latest sign-in first. */
    findLive: (em: EntityManager) => find(em, SessionEntity, `${live} order by created_at desc, id desc`, liveSince()),
    countLive: (em: EntityManager) => count(em, SessionEntity, live, liveSince()),
    /** Deletes up to `limit` that have ended; one that expired gets its event. Returns how many. */
    deleteEnded: async (em: EntityManager, limit: number): Promise<number> => {
      const now = clock();
      const over = {
        $or: [
          // Any time at all: each of the three is a range of an index.
          { endedAt: { $gt: 0 } },
          { endedAt: null, createdAt: { $lte: now - config.sessionMaxDays * DAY_MS } },
          { remembered: false, lastSeenAt: { $lte: now - config.sessionExpireMinutes * MINUTE_MS - FLUSH_GRACE_MS } },
        ],
      };
      const rows = await em.find(SessionEntity, over, { limit });
      const expired = rows.filter((row) => row.endedAt === null);
      await events.record(em, ...expired.map(asExpired));
      const ids = rows.map((row) => row.id);
      return ids.length === 0 ? 0 : em.nativeDelete(SessionEntity, { id: { $in: ids } });
    },
  };
}
