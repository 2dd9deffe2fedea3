// The gate decides who may pass: the one place where a credential becomes a principal. It knows no requests, no faces.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { Store } from '../store/database.ts';
import { SessionEntity, type SessionRow } from '../store/entities.ts';
import type { Activity } from './activity.ts';
import type { KeyRing } from './keys.ts';
import type { Password } from './password.ts';
import { type Lifetimes, sessionEnds, sha256 } from './sessions.ts';

/** How long a good answer is kept, counted from before its row was read: a revocation elsewhere holds within a second. */
const KEPT_MS = 800;
/** How long a revocation is remembered: longer than any answer that was read before it can still be kept. */
const TOMBSTONE_MS = 2000;
const MAX_KEPT = 10_000;

/** What a caller shows: the values of the session cookie, of which a header may carry several. */
export interface Credential {
  readonly sessionTokens: readonly string[];
}

/** Who is calling. */
export interface Principal {
  readonly kind: 'session';
  readonly session: SessionRow;
}

export interface Gate {
  /**
   * The principal behind a credential, or null. Checks signature, secret, both ends, revocation and password binding.
   * @throws StoreUnavailableError when the database cannot be asked; never answers good without it.
   */
  authenticate(credential: Credential): Promise<Principal | null>;
  /** Runs `commit`, which revokes these sessions; from its start no check of them is kept, from its end none is good. */
  whileRevoking<T>(sessionIds: readonly string[], commit: () => Promise<T>): Promise<T>;
}

interface Kept {
  session: SessionRow;
  readAt: number;
}

/** While one stands, no check of its session is kept; once the revocation is committed, none is good. */
interface Tombstone {
  committed: boolean;
  until: number;
}

export function createGate(options: {
  config: Lifetimes;
  store: Store;
  keys: KeyRing;
  password: Pick<Password, 'isCurrent'>;
  activity: Pick<Activity, 'lastSeenAt'>;
  clock: Clock;
}): Gate {
  const { config, store, keys, password, activity, clock } = options;
  const kept = new LRUCache<string, Kept>({ max: MAX_KEPT });
  const tombstones = new Map<string, Tombstone>();

  const isRevoked = (id: string) => tombstones.get(id)?.committed === true;

  const isLive = (session: SessionRow) => {
    const lastSeenAt = Math.max(session.lastSeenAt, activity.lastSeenAt(session.id));
    return session.endedAt === null && sessionEnds({ ...session, lastSeenAt }, config).expiresAt > clock();
  };

  const fromKept = (token: string): SessionRow | null => {
    const entry = kept.get(token);
    if (!entry) return null;
    const age = clock() - entry.readAt;
    if (age >= 0 && age < KEPT_MS && !tombstones.has(entry.session.id)) return entry.session;
    kept.delete(token);
    return null;
  };

  const lookUp = async (token: string): Promise<SessionRow | null> => {
    const readAt = clock();
    const secret = await keys.openSession(token);
    if (secret === null) return null;
    const session = await store.read((em) => em.findOne(SessionEntity, { secretSha256: sha256(secret) }));
    if (!session || !(await password.isCurrent(session.passwordFingerprint)) || !isLive(session)) return null;
    // The row was read before this line: a revocation that began meanwhile has left its tombstone.
    if (!tombstones.has(session.id)) kept.set(token, { session, readAt });
    return session;
  };

  return {
    authenticate: async ({ sessionTokens }) => {
      for (const token of sessionTokens) {
        const session = fromKept(token) ?? (await lookUp(token));
        if (session && isLive(session) && !isRevoked(session.id)) return { kind: 'session', session };
      }
      return null;
    },
    whileRevoking: async (sessionIds, commit) => {
      const now = clock();
      for (const [id, tombstone] of tombstones) if (tombstone.until < now) tombstones.delete(id);
      const mark = (committed: boolean) => {
        const tombstone = { committed, until: clock() + TOMBSTONE_MS };
        for (const id of sessionIds) tombstones.set(id, tombstone);
      };
      mark(false);
      try {
        const result = await commit();
        mark(true);
        return result;
      } catch (error) {
        for (const id of sessionIds) if (!isRevoked(id)) tombstones.delete(id);
        throw error;
      }
    },
  };
}
