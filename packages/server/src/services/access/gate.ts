// The gate turns a credential into a principal. It is the only place that does. It knows no requests and no faces.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import type { KeyRing } from '../keys.ts';
import type { Password } from '../password/password.ts';
import { sha256 } from '../secrets.ts';
import type { Activity } from './activity.ts';
import { cookiesValidFor, isTokenValidFor } from './policy.ts';
import type { Credential, CredentialKind, Principal, Purpose, SessionPrincipal, TokenPrincipal } from './principal.ts';
import { type Lifetimes, sessionEnds } from './session-ends.ts';

/**
 * How long a positive answer is kept. It counts from before the row was read, so a revocation on another instance takes
 * effect within one second.
 */
const KEPT_MS = 800;
/** How long a revocation is remembered: longer than any answer that was read before it can be kept. */
const TOMBSTONE_MS = 2000;
const MAX_KEPT = 10_000;

/**
 * Names what a transaction revokes: sessions and tokens by id, a session's former secret by its SHA-256. It may be called
 * several times.
 */
export type Revoke = (keys: readonly string[]) => void;

export interface Gate {
  /**
   * The principal behind a credential, or null. Checks the signature, the secret, both ends, revocation, the password it
   * is bound to, and whether the credential is valid for this purpose. What a token's scope allows of the API is for the
   * procedures to check.
   * @throws StoreUnavailableError if the database cannot be reached. It never lets anyone pass without the database.
   */
  authenticate(credential: Credential, purpose: Purpose): Promise<Principal | null>;
  /**
   * Runs one write transaction that may revoke sessions, tokens and secrets. From the moment `work` names them, no check of
   * them is kept. Once the transaction has committed, none of them passes in this process.
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

/** While one exists, no check of what it names is kept. Once the revocation has committed, none passes. */
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
  /** Also those that a later lookup of the same credential has replaced. */
  const pending = new Set<Lookup>();

  /** A new secret leaves its session alive, so the former secret has a tombstone of its own. */
  const keysOf = (principal: Principal): string[] =>
    principal.kind === 'session' ? [principal.session.id, principal.session.secretSha256] : [principal.token.id];
  const isMarked = (principal: Principal) =>
    tombstones.size > 0 && keysOf(principal).some((key) => tombstones.has(key));
  const isRevoked = (principal: Principal) => keysOf(principal).some((key) => tombstones.get(key)?.committed === true);

  /** Keeps those that an unfinished lookup may have to be held against. */
  const dropOldTombstones = () => {
    let oldest = clock();
    for (const { readAt } of pending) oldest = Math.min(oldest, readAt);
    for (const [key, { until }] of tombstones) if (until < oldest) tombstones.delete(key);
  };

  const isLive = (principal: Principal) => {
    if (principal.kind === 'token') {
      const { endedAt, expiresAt } = principal.token;
      return endedAt === null && (expiresAt === null || expiresAt > clock());
    }
    const { session } = principal;
    const now = clock();
    const lastSeenAt = Math.max(session.lastSeenAt, activity.lastUse(session.id)?.at ?? 0);
    const { expiresAt } = sessionEnds({ ...session, lastSeenAt }, { lifetimes: config, now });
    return session.endedAt === null && expiresAt > now;
  };

  const findKept = (kind: CredentialKind, value: string): Principal | null => {
    const entry = kept.get(value);
    if (entry?.kind !== kind) return null;
    const age = clock() - entry.readAt;
    if (age >= 0 && age < KEPT_MS && !isMarked(entry.principal)) return entry.principal;
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
    const known = lookups.get(key);
    if (known && now >= known.readAt && now - known.readAt < KEPT_MS) return known;
    const answer: Promise<Principal | null> = kind === 'token' ? readToken(value) : readSession(kind, value);
    const lookup = { readAt: now, answer };
    lookups.set(key, lookup);
    pending.add(lookup);
    const forget = () => {
      pending.delete(lookup);
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
    if (!isMarked(principal)) kept.set(value, { kind, principal, readAt });
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
      dropOldTombstones();
      const marked = new Set<string>();
      const mark = (key: string, committed: boolean) =>
        tombstones.set(key, {
          committed: committed || tombstones.get(key)?.committed === true,
          until: clock() + TOMBSTONE_MS,
        });
      try {
        const result = await store.write((em) => {
          // The store may run a transaction again, and then it may revoke less.
          marked.clear();
          return work(em, (keys) => {
            for (const key of keys) {
              marked.add(key);
              mark(key, false);
            }
          });
        });
        for (const key of marked) mark(key, true);
        return result;
      } catch (error) {
        for (const key of marked) if (tombstones.get(key)?.committed === false) tombstones.delete(key);
        throw error;
      }
    },
  };
}
