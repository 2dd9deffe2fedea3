// Sessions: opened by the password, seen, and ended. Knows no cookies and no requests.
import { randomBytes } from 'node:crypto';
import { type Clock, MINUTE_MS } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import { SessionEntity, type SessionRow } from '../../store/entities.ts';
import { findOneBy, insert } from '../../store/prepared.ts';
import type { Activity } from '../access/activity.ts';
import type { Gate } from '../access/gate.ts';
import { type Lifetimes, sessionEnds } from '../access/session-ends.ts';
import type { Client } from '../caller.ts';
import type { Device, Devices } from '../devices.ts';
import type { Events } from '../events.ts';
import type { KeyRing } from '../keys.ts';
import type { Password, PasswordCheck } from '../password/check.ts';
import { sha256 } from '../secrets.ts';
import { createSessionRows, type Ending, type SeenSession } from './rows.ts';

export type Refusal = Exclude<PasswordCheck, { outcome: 'right' }>;
/** The session that asked was ended while its password was being checked. */
export type SignedOut = { outcome: 'signed-out' };
/** One session's secret in the tokens that its cookies hold: the session's own, and the one that passes at forward-auth only. */
export interface SessionTokens {
  session: string;
  pass: string;
}
export type SignIn = { outcome: 'signed-in'; seen: SeenSession; tokens: SessionTokens; device: Device } | Refusal;

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
  const rows = createSessionRows({ config, events, devices, activity, clock });
  const { seen } = rows;

  const endAllBut: Sessions['endAllBut'] = (em, id, ending) =>
    rows.endThose(em, id === null ? {} : { id: { $ne: id } }, ending);

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
          if (replaced) await rows.endThose(em, { id: replaced.id }, replacing);
          await insert(em, SessionEntity, session);
          await events.record(em, { type: 'login.succeeded', client, sessionId: session.id });
          await rows.evict(em, session, revoke);
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
          const ended = await rows.end(em, [session.id]);
          if (ended > 0) await events.record(em, { type: 'logout', client, sessionId: session.id });
        });
      }),
    revoke: (id, client) =>
      gate.whileRevoking((revoke) =>
        store.write(async (em) => (await rows.endThose(em, { id }, { client, revoke })) > 0),
      ),
    revokeAllBut: (id, client) =>
      gate.whileRevoking((revoke) => store.write((em) => endAllBut(em, id, { client, revoke }))),
    revokeThoseOfOtherPasswords: () =>
      gate.whileRevoking((revoke) =>
        store.write(async (em) => {
          const foreign = { passwordFingerprint: { $ne: await password.fingerprintWithin(em) } };
          return rows.endThose(em, foreign, { client: null, detail: 'opened with another password', revoke });
        }),
      ),
    endAllBut,
    seen,
    list: async () => {
      await activity.flush();
      return (await store.read(rows.findLive)).map(seen);
    },
    reload: async (session) => {
      await activity.flush();
      return store.read((em) => findOneBy(em, SessionEntity, 'id', session.id));
    },
    countLive: async () => {
      await activity.flush();
      return store.read(rows.countLive);
    },
    deleteEnded: async (limit) => {
      await activity.flush();
      return store.write((em) => rows.deleteEnded(em, limit));
    },
  };
}
