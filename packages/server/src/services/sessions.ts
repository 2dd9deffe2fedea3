// Sessions: opened by the password, seen, and ended. Knows no cookies and no requests.
import { createHash, randomBytes } from 'node:crypto';
import type { FilterQuery } from '@mikro-orm/core';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { SessionEntity, type SessionRow } from '../store/entities.ts';
import { count, find, findOneBy, insert } from '../store/prepared.ts';
import type { Activity } from './activity.ts';
import type { Client } from './client.ts';
import type { Device, Devices } from './devices.ts';
import type { Events } from './events.ts';
import type { Gate } from './gate.ts';
import type { KeyRing } from './keys.ts';
import type { Password, PasswordCheck } from './password.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Another instance may hold back a session's latest use this long before it writes it. */
const FLUSH_GRACE_MS = 15_000;

export type Lifetimes = Pick<Config, 'sessionExpireMinutes' | 'sessionMaxDays'>;

/** When a session ends, in milliseconds since 1970: unused, at the latest, and whichever of the two comes first. */
export interface SessionEnds {
  idleEndAt: number;
  absoluteEndAt: number;
  expiresAt: number;
}

/** Computed when asked, never stored: a changed configuration holds for the sessions there are. */
export function sessionEnds(
  session: Pick<SessionRow, 'createdAt' | 'lastSeenAt' | 'remembered'>,
  lifetimes: Lifetimes,
): SessionEnds {
  const maxMs = lifetimes.sessionMaxDays * DAY_MS;
  const idleMs = session.remembered ? maxMs : lifetimes.sessionExpireMinutes * MINUTE_MS;
  const idleEndAt = session.lastSeenAt + idleMs;
  const absoluteEndAt = session.createdAt + maxMs;
  return { idleEndAt, absoluteEndAt, expiresAt: Math.min(idleEndAt, absoluteEndAt) };
}

/** What the database holds of a secret. */
export const sha256 = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

/** A session as it stands now, with when it ends. */
export interface SeenSession {
  session: SessionRow;
  ends: SessionEnds;
}

export type Refusal = Exclude<PasswordCheck, { outcome: 'right' }>;
/** The session that asked was ended while its password was being checked. */
export type SignedOut = { outcome: 'signed-out' };
/** One session's secret in the tokens that its cookies hold: the session's own, and the one that passes at forward-auth only. */
export interface SessionTokens {
  session: string;
  pass: string;
}
export type SignIn = { outcome: 'signed-in'; seen: SeenSession; tokens: SessionTokens; device: Device } | Refusal;

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

export interface Sessions {
  /** Checks the password and opens a session; the one that the browser had before ends, and so do those over the limit. */
  signIn(options: {
    password: string;
    remember: boolean;
    client: Client;
    device: Device | null;
    previous: () => Promise<SessionRow | null>;
  }): Promise<SignIn>;
  /** A new pass for a session, made from whichever of these tokens is its own; null where none is. */
  renewPass(sessionTokens: readonly string[], session: SessionRow): Promise<{ pass: string; expiresAt: number } | null>;
  /** Checks the password once more; the session then counts as freshly signed in. */
  stepUp(options: {
    password: string;
    session: SessionRow;
    client: Client;
    device: Device | null;
  }): Promise<{ outcome: 'stepped-up' } | Refusal | SignedOut>;
  /** Whether the password was shown within STEP_UP_MINUTES. */
  isFresh(session: SessionRow): Promise<boolean>;
  /** Ends the caller's own session for good. Its device stays known. */
  signOut(session: SessionRow, client: Client): Promise<void>;
  /** Ends a session for good and forgets its device; false when there is no live one of this id. */
  revoke(id: string, client: Client | null): Promise<boolean>;
  /** The same for all sessions but one. Returns how many. */
  revokeAllBut(id: string | null, client: Client | null): Promise<number>;
  /** Ends, for good, every session that was opened with another password. Returns how many. */
  revokeThoseOfOtherPasswords(): Promise<number>;
  /** Within the caller's transaction: ends all sessions but one, as `revokeAllBut` does. Returns how many were live. */
  endAllBut(em: EntityManager, id: string | null, ending: Ending): Promise<number>;
  /** A session with the use that only memory knows of yet. */
  seen(session: SessionRow): SeenSession;
  /** The live sessions, the latest sign-in first. */
  list(): Promise<SeenSession[]>;
  /** The row as it is now, what memory gathered included; null when it was deleted meanwhile. */
  reload(session: SessionRow): Promise<SessionRow | null>;
  countLive(): Promise<number>;
  /** Deletes up to `limit` sessions that have ended; one that expired gets its event. Returns how many. */
  deleteEnded(limit: number): Promise<number>;
}

export function createSessions(options: {
  config: Lifetimes & Pick<Config, 'sessionMaxLive' | 'stepUpMinutes'>;
  store: Store;
  gate: Gate;
  password: Password;
  events: Events;
  keys: KeyRing;
  devices: Devices;
  activity: Activity;
  clock: Clock;
}): Sessions {
  const { config, store, gate, password, events, keys, devices, activity, clock } = options;

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

  const endAllBut: Sessions['endAllBut'] = (em, id, ending) =>
    endThose(em, id === null ? {} : { id: { $ne: id } }, ending);

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
    signIn: async ({ password: candidate, remember, client, device: known, previous }) => {
      const replaced = await previous();
      const attempt = { purpose: 'login', client, device: known, sessionId: null } as const;
      const check = await password.check(candidate, attempt);
      if (check.outcome !== 'right') return check;
      const secret = randomBytes(32).toString('base64url');
      const now = clock();
      const session: SessionRow = {
        id: randomBytes(12).toString('hex'),
        secretSha256: sha256(secret),
        passwordFingerprint: check.fingerprint,
        remembered: remember,
        createdAt: now,
        lastSeenAt: now,
        endedAt: null,
        requestCount: 0,
        ip: client.ip,
        userAgent: client.userAgent,
        steppedUpAt: null,
      };
      const device = await gate.whileRevoking((revoke) =>
        check.settle(async (em) => {
          const bound = await devices.bind(em, known, session.id);
          const replacing = { client, detail: 'replaced by a new sign-in', revoke };
          if (replaced) await endThose(em, { id: replaced.id }, replacing);
          await insert(em, SessionEntity, session);
          await events.record(em, { type: 'login.succeeded', client, sessionId: session.id });
          await evict(em, session, revoke);
          return bound;
        }),
      );
      if (!device) return { outcome: 'wrong' };
      const ends = sessionEnds(session, config);
      const tokens = {
        session: await keys.sign('session', secret, ends.absoluteEndAt),
        pass: await keys.sign('pass', secret, ends.absoluteEndAt),
      };
      return { outcome: 'signed-in', seen: { session, ends }, tokens, device };
    },
    renewPass: async (sessionTokens, session) => {
      const expiresAt = sessionEnds(session, config).absoluteEndAt;
      for (const token of sessionTokens) {
        const secret = await keys.open('session', token);
        if (secret === null || sha256(secret) !== session.secretSha256) continue;
        return { pass: await keys.sign('pass', secret, expiresAt), expiresAt };
      }
      return null;
    },
    stepUp: async ({ password: candidate, session, client, device }) => {
      const check = await password.check(candidate, { purpose: 'step-up', client, device, sessionId: session.id });
      if (check.outcome !== 'right') return check;
      const open = { id: session.id, endedAt: null };
      const changed = await check.settle((em) => em.nativeUpdate(SessionEntity, open, { steppedUpAt: clock() }));
      if (changed === null) return { outcome: 'wrong' };
      return { outcome: changed > 0 ? 'stepped-up' : 'signed-out' };
    },
    isFresh: async ({ id }) => {
      // Read anew: the row that the gate keeps may be older than a step-up.
      const session = await store.read((em) => findOneBy(em, SessionEntity, 'id', id));
      const provenAt = Math.max(session?.createdAt ?? 0, session?.steppedUpAt ?? 0);
      return clock() - provenAt < config.stepUpMinutes * MINUTE_MS;
    },
    signOut: (session, client) =>
      gate.whileRevoking((revoke) => {
        revoke([session.id]);
        return store.write(async (em) => {
          const ended = await end(em, [session.id]);
          if (ended > 0) await events.record(em, { type: 'logout', client, sessionId: session.id });
        });
      }),
    revoke: (id, client) =>
      gate.whileRevoking((revoke) => store.write(async (em) => (await endThose(em, { id }, { client, revoke })) > 0)),
    revokeAllBut: (id, client) =>
      gate.whileRevoking((revoke) => store.write((em) => endAllBut(em, id, { client, revoke }))),
    revokeThoseOfOtherPasswords: () =>
      gate.whileRevoking((revoke) =>
        store.write(async (em) => {
          const foreign = { passwordFingerprint: { $ne: await password.fingerprintWithin(em) } };
          return endThose(em, foreign, { client: null, detail: 'opened with another password', revoke });
        }),
      ),
    endAllBut,
    seen,
    list: async () => {
      await activity.flush();
      const newest = `${live} order by created_at desc, id desc`;
      const rows = await store.read((em) => find(em, SessionEntity, newest, liveSince()));
      return rows.map(seen);
    },
    reload: async (session) => {
      await activity.flush();
      return store.read((em) => findOneBy(em, SessionEntity, 'id', session.id));
    },
    countLive: async () => {
      await activity.flush();
      return store.read((em) => count(em, SessionEntity, live, liveSince()));
    },
    deleteEnded: async (limit) => {
      await activity.flush();
      return store.write(async (em) => {
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
      });
    },
  };
}
