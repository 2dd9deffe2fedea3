// The gate decides who may pass: the one place where a credential becomes a principal. It knows no requests, no faces.
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import type { Store } from '../../store/database.ts';
import type { SessionRow, TokenRow } from '../../store/entities.ts';
import type { KeyRing } from '../keys.ts';
import type { Password } from '../password/check.ts';
import { sha256 } from '../secrets.ts';
import type { Activity } from './activity.ts';
import { type Lifetimes, sessionEnds } from './session-ends.ts';

/** How long a good answer is kept, counted from before its row was read: a revocation elsewhere holds within a second. */
const KEPT_MS = 800;
/** How long a revocation is remembered: longer than any answer that was read before it can still be kept. */
const TOMBSTONE_MS = 2000;
const MAX_KEPT = 10_000;

/** What a caller shows. A bearer token of ours decides alone; else the values of cookies, of which a header may carry several. */
export interface Credential {
  readonly bearer: string | null;
  readonly sessionTokens: readonly string[];
  readonly passTokens: readonly string[];
}

/** What for: this server's own API and pages, or an application that a proxy asks about. */
export type Purpose = 'api' | 'forward-auth';

/** Who is calling: the operator's browser by its session, or a program by its token. */
export type Principal = SessionPrincipal | TokenPrincipal;
export interface SessionPrincipal {
  readonly kind: 'session';
  readonly session: SessionRow;
}
export interface TokenPrincipal {
  readonly kind: 'token';
  readonly token: TokenRow;
}

export interface Gate {
  /**
   * The principal behind a credential, or null. Checks signature, secret, both ends, revocation, password binding, and
   * what it is good for: at forward-auth a token needs the scope `proxy`, and a pass is good there and nowhere else. What
   * a token's scope covers of the API is for its procedures to say.
   * @throws StoreUnavailableError when the database cannot be asked; never answers good without it.
   */
  authenticate(credential: Credential, purpose: Purpose): Promise<Principal | null>;
  /**
   * Runs `commit`, which names the sessions and tokens it revokes before it commits: from then on no check of them is
   * kept, and from its end none is good.
   */
  whileRevoking<T>(commit: (revoke: (ids: readonly string[]) => void) => Promise<T>): Promise<T>;
}

/** How a credential is shown: what is good as one is not good as another. */
type Shown = 'session' | 'pass' | 'token';

interface Kept {
  as: Shown;
  principal: Principal;
  readAt: number;
}

/** A row on its way from the database. */
interface Lookup {
  readAt: number;
  answer: Promise<Principal | null>;
}

/** While one stands, no check of its session or token is kept; once the revocation is committed, none is good. */
interface Tombstone {
  committed: boolean;
  until: number;
}

const idOf = (principal: Principal) => (principal.kind === 'session' ? principal.session.id : principal.token.id);

export function createGate(options: {
  config: Lifetimes;
  store: Store;
  keys: KeyRing;
  password: Pick<Password, 'isCurrent'>;
  activity: Pick<Activity, 'lastUse'>;
  clock: Clock;
}): Gate {
  const { config, store, keys, password, activity, clock } = options;
  const kept = new LRUCache<string, Kept>({ max: MAX_KEPT });
  const tombstones = new Map<string, Tombstone>();
  const lookups = new Map<string, Lookup>();

  const isRevoked = (principal: Principal) => tombstones.get(idOf(principal))?.committed === true;

  const isLive = (principal: Principal) => {
    if (principal.kind === 'token') {
      const { endedAt, expiresAt } = principal.token;
      return endedAt === null && (expiresAt === null || expiresAt > clock());
    }
    const { session } = principal;
    const lastSeenAt = Math.max(session.lastSeenAt, activity.lastUse(session.id)?.at ?? 0);
    return session.endedAt === null && sessionEnds({ ...session, lastSeenAt }, config).expiresAt > clock();
  };

  const fromKept = (as: Shown, shown: string): Principal | null => {
    const entry = kept.get(shown);
    if (entry?.as !== as) return null;
    const age = clock() - entry.readAt;
    if (age >= 0 && age < KEPT_MS && !tombstones.has(idOf(entry.principal))) return entry.principal;
    kept.delete(shown);
    return null;
  };

  const readSession = async (as: 'session' | 'pass', shown: string): Promise<SessionPrincipal | null> => {
    const secret = await keys.open(as, shown);
    if (secret === null) return null;
    const session = await store.findSession(sha256(secret));
    return session && (await password.isCurrent(session.passwordFingerprint)) ? { kind: 'session', session } : null;
  };

  const readToken = async (bearer: string): Promise<TokenPrincipal | null> => {
    const token = await store.findToken(sha256(bearer));
    return token && { kind: 'token', token };
  };

  /** Requests that come at once with one credential share a lookup, as long as it is as fresh as a kept answer. */
  const lookUp = (as: Shown, shown: string): Lookup => {
    const now = clock();
    const key = `${as} ${shown}`;
    const pending = lookups.get(key);
    if (pending && now >= pending.readAt && now - pending.readAt < KEPT_MS) return pending;
    const answer: Promise<Principal | null> = as === 'token' ? readToken(shown) : readSession(as, shown);
    const lookup = { readAt: now, answer };
    lookups.set(key, lookup);
    const forget = () => {
      if (lookups.get(key) === lookup) lookups.delete(key);
    };
    answer.then(forget, forget);
    return lookup;
  };

  const check = async (as: Shown, shown: string): Promise<Principal | null> => {
    const known = fromKept(as, shown);
    if (known) return isLive(known) ? known : null;
    const { readAt, answer } = lookUp(as, shown);
    const principal = await answer;
    if (!principal || !isLive(principal) || isRevoked(principal)) return null;
    // The row was read before this line: a revocation that began meanwhile has left its tombstone.
    if (!tombstones.has(idOf(principal))) kept.set(shown, { as, principal, readAt });
    return principal;
  };

  return {
    authenticate: async ({ bearer, sessionTokens, passTokens }, purpose) => {
      if (bearer !== null) {
        const principal = await check('token', bearer);
        const isGood = purpose === 'api' || (principal?.kind === 'token' && principal.token.scope === 'proxy');
        return isGood ? principal : null;
      }
      for (const sessionToken of sessionTokens) {
        const principal = await check('session', sessionToken);
        if (principal) return principal;
      }
      for (const passToken of purpose === 'forward-auth' ? passTokens : []) {
        const principal = await check('pass', passToken);
        if (principal) return principal;
      }
      return null;
    },
    whileRevoking: async (commit) => {
      const now = clock();
      for (const [id, tombstone] of tombstones) if (tombstone.until < now) tombstones.delete(id);
      const marked = new Set<string>();
      const mark = (id: string, committed: boolean) =>
        tombstones.set(id, {
          committed: committed || tombstones.get(id)?.committed === true,
          until: clock() + TOMBSTONE_MS,
        });
      try {
        const result = await commit((ids) => {
          for (const id of ids) {
            marked.add(id);
            mark(id, false);
          }
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
