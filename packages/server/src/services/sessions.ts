// Sessions: opened by the password, seen, and ended. Knows no cookies and no requests.
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/sqlite';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Store } from '../store/database.ts';
import { SessionEntity, type SessionRow } from '../store/entities.ts';
import type { Activity } from './activity.ts';
import type { Client } from './client.ts';
import type { Events } from './events.ts';
import type { Gate, Principal } from './gate.ts';
import type { KeyRing } from './keys.ts';
import type { Password, PasswordCheck } from './password.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

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

/** What the database holds of a session's secret. */
export const sha256 = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

export type SignIn =
  | { outcome: 'signed-in'; session: SessionRow; token: string; ends: SessionEnds }
  | Exclude<PasswordCheck, { outcome: 'right' }>;

export interface Sessions {
  /** Checks the password and opens a session; the one that the browser had before ends. */
  signIn(options: {
    password: string;
    remember: boolean;
    client: Client;
    previous: () => Promise<Principal | null>;
  }): Promise<SignIn>;
  /** Ends the caller's own session for good. */
  signOut(session: SessionRow, client: Client): Promise<void>;
  /** A session as it stands now: with the use that only memory knows of yet, and when it ends. */
  asUsed(session: SessionRow): { session: SessionRow; ends: SessionEnds };
  /** The row as it is now, what memory gathered included; null when it was deleted meanwhile. */
  reload(session: SessionRow): Promise<SessionRow | null>;
  /** How many sessions are live now. */
  countLive(): Promise<number>;
  /** Ends, for good, every session that was opened with another password. Returns how many. */
  endThoseOfOtherPasswords(): Promise<number>;
}

export function createSessions(options: {
  config: Lifetimes;
  store: Store;
  gate: Gate;
  password: Password;
  events: Events;
  keys: KeyRing;
  activity: Activity;
  clock: Clock;
}): Sessions {
  const { config, store, gate, password, events, keys, activity, clock } = options;

  const end = (em: EntityManager, id: string) =>
    em.nativeUpdate(SessionEntity, { id, endedAt: null }, { endedAt: clock() });

  return {
    signIn: async ({ password: candidate, remember, client, previous }) => {
      const check = await password.check(candidate, client);
      if (check.outcome !== 'right') return check;
      const replaced = (await previous())?.session ?? null;
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
      };
      const open = () =>
        store.write(async (em) => {
          await em.insert(SessionEntity, session);
          await events.record(em, { type: 'login.succeeded', client, sessionId: session.id });
          if (replaced && (await end(em, replaced.id)) > 0) {
            const detail = 'replaced by a new sign-in';
            await events.record(em, { type: 'session.revoked', client, sessionId: replaced.id, detail });
          }
        });
      await (replaced ? gate.whileRevoking([replaced.id], open) : open());
      const ends = sessionEnds(session, config);
      return { outcome: 'signed-in', session, token: await keys.signSession(secret, ends.absoluteEndAt), ends };
    },
    signOut: (session, client) =>
      gate.whileRevoking([session.id], () =>
        store.write(async (em) => {
          if ((await end(em, session.id)) > 0)
            await events.record(em, { type: 'logout', client, sessionId: session.id });
        }),
      ),
    asUsed: (row) => {
      const session = { ...row, lastSeenAt: Math.max(row.lastSeenAt, activity.lastSeenAt(row.id)) };
      return { session, ends: sessionEnds(session, config) };
    },
    reload: async (session) => {
      await activity.flush();
      return store.read((em) => em.findOne(SessionEntity, { id: session.id }));
    },
    countLive: async () => {
      await activity.flush();
      const now = clock();
      const createdAt = { $gt: now - config.sessionMaxDays * DAY_MS };
      const used = { lastSeenAt: { $gt: now - config.sessionExpireMinutes * MINUTE_MS } };
      return store.read((em) =>
        em.count(SessionEntity, { endedAt: null, createdAt, $or: [{ remembered: true }, used] }),
      );
    },
    endThoseOfOtherPasswords: async () => {
      const foreign = { endedAt: null, passwordFingerprint: { $ne: password.fingerprint() } };
      const rows = await store.read((em) => em.find(SessionEntity, foreign, { fields: ['id'] }));
      const ids = rows.map((row) => row.id);
      if (ids.length === 0) return 0;
      return gate.whileRevoking(ids, () =>
        store.write(async (em) => {
          const ended = await em.nativeUpdate(SessionEntity, foreign, { endedAt: clock() });
          const detail = 'opened with another password';
          await events.record(em, ...ids.map((sessionId) => ({ type: 'session.revoked' as const, sessionId, detail })));
          return ended;
        }),
      );
    },
  };
}
