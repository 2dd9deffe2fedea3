// Sessions in the database, within a caller's transaction: which of them live, and how they end.
import type { FilterQuery } from '@mikro-orm/core';
import { type Clock, DAY_MS, MINUTE_MS } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager } from '../../store/database.ts';
import { SessionEntity, type SessionRow } from '../../store/entities.ts';
import {
  countLiveSessionsWithin,
  countOtherLiveSessionsWithin,
  findLeastRecentOtherSessionsWithin,
  findLiveSessionsWithin,
  type LiveAfter,
} from '../../store/statements/sessions.ts';
import type { Activity } from '../access/activity.ts';
import type { Revoke } from '../access/gate.ts';
import { type Lifetimes, type SessionEnds, sessionEnds } from '../access/session-ends.ts';
import type { Caller } from '../caller.ts';
import type { Devices } from '../devices.ts';
import type { Events } from '../events.ts';

/** Another instance may write a session's latest use this much later, in milliseconds. */
const FLUSH_GRACE_MS = 15_000;

/** A session with its latest use, and when it ends. */
export interface SeenSession {
  session: SessionRow;
  ends: SessionEnds;
}

/** A session as its request presents it: not ended, and with the secret that the request has shown. */
const asPresented = ({ id, secretSha256 }: SessionRow) => ({ id, secretSha256, endedAt: null });

/**
 * Whether this session, as the transaction sees it, has neither ended nor got another secret. A slow request checks this again
 * before it writes.
 */
export const isOpenWithin = async (em: EntityManager, session: SessionRow): Promise<boolean> =>
  (await em.count(SessionEntity, asPresented(session))) > 0;

/** Changes a session under the condition of `isOpenWithin`. False if the condition does not hold. */
export const changeOpenWithin = async (
  em: EntityManager,
  session: SessionRow,
  changes: Partial<SessionRow>,
): Promise<boolean> => (await em.nativeUpdate(SessionEntity, asPresented(session), changes)) > 0;

/** Why sessions end, and who ends them. */
export interface Ending {
  caller: Caller | null;
  detail?: string;
  revoke: Revoke;
}

export function createSessionRows(options: {
  config: Lifetimes & Pick<Config, 'sessionMaxLive'>;
  events: Events;
  devices: Devices;
  activity: Activity;
  clock: Clock;
}) {
  const { config, events, devices, activity, clock } = options;

  const liveAfter = (): LiveAfter => {
    const now = clock();
    return {
      createdAt: now - config.sessionMaxDays * DAY_MS,
      lastSeenAt: now - config.sessionExpireMinutes * MINUTE_MS,
    };
  };

  const seen = (row: SessionRow): SeenSession => {
    const session = { ...row, lastSeenAt: Math.max(row.lastSeenAt, activity.lastUse(row.id)?.at ?? 0) };
    return { session, ends: sessionEnds(session, { lifetimes: config, now: clock() }) };
  };

  const endWithin = (em: EntityManager, ids: readonly string[]) =>
    em.nativeUpdate(SessionEntity, { id: { $in: [...ids] }, endedAt: null }, { endedAt: clock() });

  const asExpired = ({ id }: SessionRow) => ({ type: 'session.expired' as const, sessionId: id });

  /**
   * Ends those of these sessions that have not ended, with an event each, and forgets the devices of those that were live. One
   * that has expired ends with the others, since another instance may know of a later use, but it counts as expired.
   */
  const endMatchingWithin = async (
    em: EntityManager,
    which: FilterQuery<SessionRow>,
    ending: Ending,
  ): Promise<number> => {
    const { caller, detail, revoke } = ending;
    const rows = await em.find(SessionEntity, { $and: [which, { endedAt: null }] });
    if (rows.length === 0) return 0;
    revoke(rows.map((row) => row.id));
    const now = clock();
    const { revoked = [], expired = [] } = Object.groupBy(rows, (row) =>
      seen(row).ends.expiresAt > now ? 'revoked' : 'expired',
    );
    const ids = revoked.map((row) => row.id);
    await endWithin(
      em,
      rows.map((row) => row.id),
    );
    await devices.forgetThoseOfWithin(em, ids);
    const why = { type: 'session.revoked' as const, caller, ...(detail === undefined ? {} : { detail }) };
    await events.recordWithin(em, ...ids.map((sessionId) => ({ ...why, sessionId })), ...expired.map(asExpired));
    return ids.length;
  };

  /** Makes room for a new session: the least recently used others end. Their devices stay known. */
  const evictWithin = async (em: EntityManager, { id }: SessionRow, revoke: Revoke): Promise<void> => {
    const after = liveAfter();
    const surplus = (await countOtherLiveSessionsWithin(em, id, after)) - (config.sessionMaxLive - 1);
    if (surplus <= 0) return;
    // No more rows can qualify: of all others the database knows the last use, and it is later.
    const limit = surplus + activity.size();
    const rows = await findLeastRecentOtherSessionsWithin(em, id, { after, limit });
    const ids = rows
      .map((row) => seen(row).session)
      .sort((a, b) => a.lastSeenAt - b.lastSeenAt)
      .slice(0, surplus)
      .map((row) => row.id);
    revoke(ids);
    await endWithin(em, ids);
    const why = { type: 'session.revoked' as const, detail: 'more than SESSION_MAX_LIVE' };
    await events.recordWithin(em, ...ids.map((sessionId) => ({ ...why, sessionId })));
  };

  return {
    seen,
    endWithin,
    endMatchingWithin,
    evictWithin,
    /** The live ones, the latest sign-in first. */
    findLiveWithin: (em: EntityManager) => findLiveSessionsWithin(em, liveAfter()),
    countLiveWithin: (em: EntityManager) => countLiveSessionsWithin(em, liveAfter()),
    /** Deletes up to `limit` that have ended. One that expired gets its event. Returns how many. */
    deleteEndedWithin: async (em: EntityManager, limit: number): Promise<number> => {
      const now = clock();
      const over = {
        $or: [
          // Any time: each of the three conditions is a range of an index.
          { endedAt: { $gt: 0 } },
          { endedAt: null, createdAt: { $lte: now - config.sessionMaxDays * DAY_MS } },
          { remembered: false, lastSeenAt: { $lte: now - config.sessionExpireMinutes * MINUTE_MS - FLUSH_GRACE_MS } },
        ],
      };
      const rows = await em.find(SessionEntity, over, { limit });
      const expired = rows.filter((row) => row.endedAt === null);
      await events.recordWithin(em, ...expired.map(asExpired));
      const ids = rows.map((row) => row.id);
      return ids.length === 0 ? 0 : em.nativeDelete(SessionEntity, { id: { $in: ids } });
    },
  };
}
