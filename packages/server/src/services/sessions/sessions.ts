// Sessions: opened, listed and ended. It checks no proofs (see sign-in/) and knows no requests.
import { randomBytes } from 'node:crypto';
import { type Clock, MINUTE_MS } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import { SessionEntity, type SessionRow } from '../../store/entities.ts';
import { findOneBy, insert } from '../../store/prepared.ts';
import type { Activity } from '../access/activity.ts';
import type { Gate, Revoke } from '../access/gate.ts';
import { type Lifetimes, sessionEnds } from '../access/session-ends.ts';
import type { Caller } from '../caller.ts';
import type { Device, Devices } from '../devices.ts';
import type { Events } from '../events.ts';
import { CLOCK_SKEW_MS } from '../future-times.ts';
import type { KeyRing } from '../keys.ts';
import type { Password } from '../password/password.ts';
import { sha256 } from '../secrets.ts';
import { changeOpenWithin, createSessionRows, type Ending, type SeenSession } from './rows.ts';

const createSecret = () => randomBytes(32).toString('base64url');

/** The values of a session's cookies: its own, and the pass, which is valid at forward-auth only. Both wrap one secret. */
export interface SessionCookies {
  session: string;
  pass: string;
}

/** Why a cookie opens no session: it expired, it was ended, or the server knows nothing of it any more. */
export type SessionEnd = 'expired' | 'ended' | 'unknown';

/** A session whose secret a transaction has just made. Only the cookies get it; the database has its SHA-256. */
export interface NewSecret {
  session: SessionRow;
  secret: string;
}

interface OpenedSession extends NewSecret {
  device: Device;
}

/** New cookie values of a session, and when the browser may forget them (milliseconds since 1970). */
export interface RenewedCookies {
  cookies: SessionCookies;
  absoluteEndAt: number;
}

export interface Sessions {
  /**
   * Opens a session and makes its browser a known device. The session that the browser had before ends, and so do the least
   * recently used beyond SESSION_MAX_LIVE.
   */
  openWithin(
    em: EntityManager,
    options: {
      passwordFingerprint: string;
      remember: boolean;
      caller: Caller;
      device: Device | null;
      replaced: SessionRow | null;
      revoke: Revoke;
    },
  ): Promise<OpenedSession>;
  /** Signs the cookie values of a session with a new secret. */
  signCookies(made: NewSecret): Promise<RenewedCookies>;
  /** A new pass for a session, from whichever of these cookie values is its own; null if none is. */
  renewPass(
    sessionCookies: readonly string[],
    session: SessionRow,
  ): Promise<{ pass: string; expiresAt: number } | null>;
  /**
   * The session counts as freshly signed in from now on, and gets a new secret (OWASP ASVS 5, 7.2.4): a copy of its cookies that
   * was made before does not become fresh. Null if it has ended or got another secret meanwhile.
   */
  stepUpWithin(em: EntityManager, session: SessionRow, revoke: Revoke): Promise<NewSecret | null>;
  /** Binds the session to another password, and gives it a new secret. Null as in `stepUpWithin`. */
  rebindWithin(
    em: EntityManager,
    session: SessionRow,
    options: { passwordFingerprint: string; revoke: Revoke },
  ): Promise<NewSecret | null>;
  /** `fresh` if the last sign-in or step-up is at most STEP_UP_MINUTES ago; `signed-out` as for null in `stepUpWithin`. */
  freshness(session: SessionRow): Promise<'fresh' | 'stale' | 'signed-out'>;
  /** Ends the caller's own session for good. Its device stays known. */
  signOut(session: SessionRow, caller: Caller): Promise<void>;
  /** Ends a session for good and forgets its device; false if there is no live one with this id. */
  revoke(id: string, caller: Caller | null): Promise<boolean>;
  /** The same for all sessions but one. Returns how many. */
  revokeAllBut(id: string | null, caller: Caller | null): Promise<number>;
  /** Ends, for good, every session that was opened with another password. Returns how many. */
  revokeThoseOfOtherPasswords(): Promise<number>;
  /** Ends all sessions but one, as `revokeAllBut` does. Returns how many were live. */
  endAllButWithin(em: EntityManager, id: string | null, ending: Ending): Promise<number>;
  /** A session with the use that only memory knows of yet. */
  seen(session: SessionRow): SeenSession;
  /** The live sessions, the latest sign-in first. */
  list(): Promise<SeenSession[]>;
  /** The current row, including what memory has gathered; null if it was deleted. */
  reload(session: SessionRow): Promise<SessionRow | null>;
  countLive(): Promise<number>;
  /** What became of the session behind these cookie values, none of which opens one. */
  endOf(sessionCookies: readonly string[]): Promise<SessionEnd>;
  /** Deletes up to `limit` sessions that have ended. One that expired gets its event. Returns how many. */
  deleteEnded(limit: number): Promise<number>;
}

export function createSessions(options: {
  config: Lifetimes & Pick<Config, 'sessionMaxLive' | 'stepUpMinutes'>;
  store: Store;
  gate: Gate;
  password: Pick<Password, 'fingerprintWithin'>;
  events: Events;
  keys: KeyRing;
  devices: Devices;
  activity: Activity;
  clock: Clock;
}): Sessions {
  const { config, store, gate, password, events, keys, devices, activity, clock } = options;
  const rows = createSessionRows({ config, events, devices, activity, clock });
  const { seen } = rows;

  /** Every cookie with the old secret ends with this transaction. Such a secret is revoked like an id. */
  const renewWithin = async (
    em: EntityManager,
    session: SessionRow,
    options: { changes: Partial<SessionRow>; revoke: Revoke },
  ): Promise<NewSecret | null> => {
    const secret = createSecret();
    const changes = { ...options.changes, secretSha256: sha256(secret) };
    if (!(await changeOpenWithin(em, session, changes))) return null;
    options.revoke([session.secretSha256]);
    return { session: { ...session, ...changes }, secret };
  };

  const endAllButWithin: Sessions['endAllButWithin'] = (em, id, ending) =>
    rows.endMatchingWithin(em, id === null ? {} : { id: { $ne: id } }, ending);

  return {
    openWithin: async (em, { passwordFingerprint, remember, caller, device: known, replaced, revoke }) => {
      const secret = createSecret();
      const now = clock();
      const session: SessionRow = {
        id: randomBytes(12).toString('hex'),
        secretSha256: sha256(secret),
        passwordFingerprint,
        remembered: remember,
        createdAt: now,
        lastSeenAt: now,
        endedAt: null,
        requestCount: 0,
        ip: caller.ip,
        userAgent: caller.userAgent,
        steppedUpAt: null,
      };
      const device = await devices.bindWithin(em, known, session.id);
      if (replaced) {
        const ending = { caller, detail: 'replaced by a new sign-in', revoke };
        await rows.endMatchingWithin(em, { id: replaced.id }, ending);
      }
      await insert(em, SessionEntity, session);
      await events.recordWithin(em, { type: 'login.succeeded', caller, sessionId: session.id });
      await rows.evictWithin(em, session, revoke);
      return { session, secret, device };
    },
    signCookies: async ({ session, secret }) => {
      const { absoluteEndAt } = sessionEnds(session, { lifetimes: config, now: clock() });
      const cookies = {
        session: await keys.sign('session', secret, absoluteEndAt),
        pass: await keys.sign('pass', secret, absoluteEndAt),
      };
      return { cookies, absoluteEndAt };
    },
    renewPass: async (sessionCookies, session) => {
      const expiresAt = sessionEnds(session, { lifetimes: config, now: clock() }).absoluteEndAt;
      for (const cookie of sessionCookies) {
        const secret = await keys.open('session', cookie);
        if (secret === null || sha256(secret) !== session.secretSha256) continue;
        return { pass: await keys.sign('pass', secret, expiresAt), expiresAt };
      }
      return null;
    },
    stepUpWithin: (em, session, revoke) => renewWithin(em, session, { changes: { steppedUpAt: clock() }, revoke }),
    rebindWithin: (em, session, { passwordFingerprint, revoke }) =>
      renewWithin(em, session, { changes: { passwordFingerprint }, revoke }),
    freshness: async ({ id, secretSha256 }) => {
      // Read again: the row that the gate keeps may be older than a step-up, which only the new secret benefits from.
      const session = await store.read((em) => findOneBy(em, SessionEntity, 'id', id));
      if (session?.secretSha256 !== secretSha256) return 'signed-out';
      const provenAt = Math.max(session.createdAt, session.steppedUpAt ?? 0);
      const ageMs = clock() - provenAt;
      // A time in the future says nothing of how long ago that was.
      return ageMs > -CLOCK_SKEW_MS && ageMs < config.stepUpMinutes * MINUTE_MS ? 'fresh' : 'stale';
    },
    signOut: (session, caller) =>
      gate.writeRevoking(async (em, revoke) => {
        revoke([session.id]);
        const ended = await rows.endWithin(em, [session.id]);
        if (ended > 0) await events.recordWithin(em, { type: 'logout', caller, sessionId: session.id });
      }),
    revoke: (id, caller) =>
      gate.writeRevoking(async (em, revoke) => (await rows.endMatchingWithin(em, { id }, { caller, revoke })) > 0),
    revokeAllBut: (id, caller) => gate.writeRevoking((em, revoke) => endAllButWithin(em, id, { caller, revoke })),
    revokeThoseOfOtherPasswords: () =>
      gate.writeRevoking(async (em, revoke) => {
        const foreign = { passwordFingerprint: { $ne: await password.fingerprintWithin(em) } };
        const ending = { caller: null, detail: 'opened with another password', revoke };
        return rows.endMatchingWithin(em, foreign, ending);
      }),
    endAllButWithin,
    seen,
    list: async () => {
      await activity.flush();
      return (await store.read(rows.findLiveWithin)).map(seen);
    },
    reload: async (session) => {
      await activity.flush();
      return store.read((em) => findOneBy(em, SessionEntity, 'id', session.id));
    },
    endOf: async (sessionCookies) => {
      for (const cookie of sessionCookies) {
        const secret = await keys.open('session', cookie);
        const row = secret === null ? null : await store.findSession(sha256(secret));
        if (!row) continue;
        const { expiresAt } = seen(row).ends;
        return expiresAt <= (row.endedAt ?? clock()) ? 'expired' : 'ended';
      }
      return 'unknown';
    },
    countLive: async () => {
      await activity.flush();
      return store.read(rows.countLiveWithin);
    },
    deleteEnded: async (limit) => {
      await activity.flush();
      return store.write((em) => rows.deleteEndedWithin(em, limit));
    },
  };
}
