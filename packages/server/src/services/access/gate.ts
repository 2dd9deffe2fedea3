// The gate turns a credential into a principal. It is the only place that does. It knows no requests and no faces.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import type { KeyRing } from '../keys.ts';
import type { Password } from '../password/password.ts';
import { sha256 } from '../secrets.ts';
import type { Activity } from './activity.ts';
import { cookiesValidFor, isTokenValidFor } from './policy.ts';
import {
  type Credential,
  type CredentialKind,
  type Principal,
  type Purpose,
  principalId,
  type SessionPrincipal,
  type TokenPrincipal,
} from './principal.ts';
import { type Lifetimes, sessionEnds } from './session-ends.ts';

/**
 * How long a positive answer is kept. It counts from before the row was read, so a revocation on another instance takes
 * effect within one second.
 */
const KEPT_MS = 800;
/** How long a revocation is remembered: longer than any answer that was read before it can be kept. */
const TOMBSTONE_MS = 2000;
const MAX_KEPT = 10_000;

/** Names the sessions and tokens that a transaction revokes, by id. It may be called several times. */
export type Revoke = (ids: readonly string[]) => void;

export interface Gate {
  /**
   * The principal behind a credential, or null. Checks the signature, the secret, both ends, revocation, the password it
   * is bound to, and whether the credential is valid for this purpose. What a token's scope allows of the API is for the
   * procedures to check.
   * @throws StoreUnavailableError if the database cannot be reached. It never lets anyone pass without the database.
   */
  authenticate(credential: Credential, purpose: Purpose): Promise<Principal | null>;
  /**
   * Runs one write transaction that may revoke sessions and tokens. From the moment `work` names them, no check of them is
   * kept. Once the transaction has committed, none of them passes in this process.
   */
  writeRevoking<T>(work: (em: EntityManager, revoke: Revoke) => Promise<T>): Promise<T>;
}

interface KeptAnswer {
  kind: CredentialKind;
  principal: Principal;
  readAt: number;
}

/** A lookup in the database that has not finished. */
interface Lookup {
  readAt: number;
  answer: Promise<Principal | null>;
}

/** While one exists, no check of its session or token is kept. Once the revocation has committed, none passes. */
interface Tombstone {
  committed: boolean;
  until: number;
}

export function createGate(options: {
  config: Lifetimes;
  store: Store;
  keys: KeyRing;
  password: Pick<Password, 'isCurrent'>;
  activity: Pick<Activity, 'lastUse'>;
  clock: Clock;
}): Gate {
  const { config, store, keys, password, activity, clock } = options;
  const kept = new LRUCache<string, KeptAnswer>({ max: MAX_KEPT });
  const tombstones = new Map<string, Tombstone>();
  const lookups = new Map<string, Lookup>();

  const isRevoked = (principal: Principal) => tombstones.get(principalId(principal))?.committed === true;

  const isLive = (principal: Principal) => {
    if (principal.kind === 'token') {
      const { endedAt, expiresAt } = principal.token;
      return endedAt === null && (expiresAt === null || expiresAt > clock());
    }
    const { session } = principal;
    const lastSeenAt = Math.max(session.lastSeenAt, activity.lastUse(session.id)?.at ?? 0);
    return session.endedAt === null && sessionEnds({ ...session, lastSeenAt }, config).expiresAt > clock();
  };

  const findKept = (kind: CredentialKind, value: string): Principal | null => {
    const entry = kept.get(value);
    if (entry?.kind !== kind) return null;
    const age = clock() - entry.readAt;
    if (age >= 0 && age < KEPT_MS && !tombstones.has(principalId(entry.principal))) return entry.principal;
    kept.delete(value);
    return null;
  };

  const readSession = async (kind: 'session' | 'pass', cookie: string): Promise<SessionPrincipal | null> => {
    const secret = await keys.open(kind, cookie);
    if (secret === null) return null;
    const session = await store.findSession(sha256(secret));
    return session && (await password.isCurrent(session.passwordFingerprint)) ? { kind: 'session', session } : null;
  };

  const readToken = async (bearer: string): Promise<TokenPrincipal | null> => {
    const token = await store.findToken(sha256(bearer));
    return token && { kind: 'token', token };
  };

  /** Concurrent requests with the same credential share a lookup, as long as it is as fresh as a kept answer. */
  const lookUp = (kind: CredentialKind, value: string): Lookup => {
    const now = clock();
    const key = `${kind} ${value}`;
    const pending = lookups.get(key);
    if (pending && now >= pending.readAt && now - pending.readAt < KEPT_MS) return pending;
    const answer: Promise<Principal | null> = kind === 'token' ? readToken(value) : readSession(kind, value);
    const lookup = { readAt: now, answer };
    lookups.set(key, lookup);
    const forget = () => {
      if (lookups.get(key) === lookup) lookups.delete(key);
    };
    answer.then(forget, forget);
    return lookup;
  };

  const check = async (kind: CredentialKind, value: string): Promise<Principal | null> => {
    const known = findKept(kind, value);
    if (known) return isLive(known) ? known : null;
    const { readAt, answer } = lookUp(kind, value);
    const principal = await answer;
    if (!principal || !isLive(principal) || isRevoked(principal)) return null;
    // The row was read before this line, so a revocation that started in between has left its tombstone.
    if (!tombstones.has(principalId(principal))) kept.set(value, { kind, principal, readAt });
    return principal;
  };

  return {
    authenticate: async ({ bearer, sessionCookies, passCookies }, purpose) => {
      if (bearer !== null) {
        const principal = await check('token', bearer);
        return principal?.kind === 'token' && isTokenValidFor(principal.token, purpose) ? principal : null;
      }
      for (const kind of cookiesValidFor[purpose]) {
        for (const cookie of kind === 'session' ? sessionCookies : passCookies) {
          const principal = await check(kind, cookie);
          if (principal) return principal;
        }
      }
      return null;
    },
    writeRevoking: async (work) => {
      const now = clock();
      for (const [id, tombstone] of tombstones) if (tombstone.until < now) tombstones.delete(id);
      const marked = new Set<string>();
      const mark = (id: string, committed: boolean) =>
        tombstones.set(id, {
          committed: committed || tombstones.get(id)?.committed === true,
          until: clock() + TOMBSTONE_MS,
        });
      try {
        const result = await store.write((em) => {
          // The store may run a transaction again, and then it may revoke less.
          marked.clear();
          return work(em, (ids) => {
            for (const id of ids) {
              marked.add(id);
              mark(id, false);
            }
          });
        });
        for (const id of marked) mark(id, true);
        return result;
      } catch (error) {
        for (const id of marked) if (tombstones.get(id)?.committed === false) tombstones.delete(id);
        throw error;
      }
    },
  };
}
