// The key ring, and the cookie values signed with it (jose, RFC 7515). It knows nothing of what a cookie opens.
import { createHash, hkdfSync } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** Loaded with the first cookie: a new server may not see one for a long time. */
let jose: Promise<typeof import('jose')> | undefined;
const loadJose = () => {
  jose ??= import('jose');
  return jose;
};

const ISSUER = 'backchannel';
const ALGORITHM = 'HS256';
/** How many verified cookie values are remembered: as many as the gate keeps answers. */
const MAX_VERIFIED = 10_000;

/** What a cookie is for. A value of one kind is never accepted as another (RFC 8725, 3.11 and 3.12). */
type CookieKind = 'session' | 'pass' | 'device';

/** Whether a ring has none of the keys that were last used on its database, if there were any. */
export const isForeignRing = (ids: readonly string[], lastUsed: readonly string[]): boolean =>
  lastUsed.length > 0 && !lastUsed.some((id) => ids.includes(id));

/** Why a foreign ring is refused; follows `SECRET_KEY: `. */
export const FOREIGN_RING =
  'none of its keys is one that the other instances on this database sign or verify with; ' +
  'set theirs, or, to change it, give all instances OLD,NEW first, then NEW,OLD.';

export interface KeyRing {
  /** The ids of its keys, the signing one first. They are public: every cookie value contains one. */
  readonly ids: readonly string[];
  /** Signs a secret into a cookie value. `expiresAt` is in milliseconds since 1970. */
  sign(kind: CookieKind, secret: string, expiresAt: number): Promise<string>;
  /** The secret in a cookie value of this kind that one of the keys signed, or null for anything else. Never throws. */
  open(kind: CookieKind, value: string): Promise<string | null>;
}

/** A ring from SECRET_KEYs: the first signs, all verify. Signing keys are derived with HKDF (RFC 5869), never used bare. */
export function createKeyRing(secretKeys: readonly string[], clock: Clock): KeyRing {
  const keys = new Map<string, Uint8Array>();
  for (const secretKey of secretKeys) {
    // The text is part of every key: changing it would sign everyone out.
    const key = new Uint8Array(hkdfSync('sha256', secretKey, '', 'backchannel token v1', 32));
    keys.set(createHash('sha256').update(key).digest('base64url').slice(0, 8), key);
  }
  /**
   * Verified values, by kind and value. Verifying takes a thread of the pool that bcrypt uses, and a valid signature stays
   * valid. Values with a bad signature are never remembered.
   */
  const verified = new LRUCache<string, { secret: string; expiresAt: number }>({ max: MAX_VERIFIED });
  const [signing] = keys;
  if (!signing) throw new RangeError('A key ring needs at least one key.');
  const [signingKid, signingKey] = signing;

  return {
    ids: [...keys.keys()],
    sign: async (kind, secret, expiresAt) => {
      const { SignJWT } = await loadJose();
      return new SignJWT({ jti: secret })
        .setProtectedHeader({ alg: ALGORITHM, typ: `${kind}+jwt`, kid: signingKid })
        .setIssuer(ISSUER)
        .setAudience(`backchannel:${kind}`)
        .setExpirationTime(Math.floor(expiresAt / 1000))
        .sign(signingKey);
    },
    open: async (kind, value) => {
      const known = verified.get(`${kind} ${value}`);
      if (known) return known.expiresAt > clock() ? known.secret : null;
      const { jwtVerify } = await loadJose();
      try {
        const { payload } = await jwtVerify(
          value,
          (header) => {
            const key = keys.get(header.kid ?? '');
            if (!key) throw new RangeError('unknown kid');
            return key;
          },
          {
            algorithms: [ALGORITHM],
            typ: `${kind}+jwt`,
            issuer: ISSUER,
            audience: `backchannel:${kind}`,
            requiredClaims: ['exp', 'jti'],
            currentDate: new Date(clock()),
          },
        );
        const { jti: secret, exp } = payload;
        if (secret === undefined || exp === undefined) return null;
        verified.set(`${kind} ${value}`, { secret, expiresAt: exp * 1000 });
        return secret;
      } catch {
        return null;
      }
    },
  };
}
