// The key ring and the tokens signed with it (jose, RFC 7515). Knows nothing of what a token opens.
import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** Loaded with the first token: a server that has just started may not see one for a long time. */
let jose: Promise<typeof import('jose')> | undefined;
const loadJose = () => {
  jose ??= import('jose');
  return jose;
};

const ISSUER = 'backchannel';
const ALGORITHM = 'HS256';
/** How many opened tokens are remembered: as many as answers are kept of (see gate.ts). */
const MAX_OPENED = 10_000;

/** What a token is good for; one kind never passes as another (RFC 8725, 3.11 and 3.12). */
export type TokenKind = 'session' | 'pass' | 'device';

/** The secret key is missing or damaged. The message is one sentence that says what to do. */
export class SecretKeyError extends Error {
  override readonly name = 'SecretKeyError';
}

/** Whether a ring has none of the keys that were last used on its database, where there were any. */
export const isStrangeRing = (ids: readonly string[], lastUsed: readonly string[]): boolean =>
  lastUsed.length > 0 && !lastUsed.some((id) => ids.includes(id));

/** Why a ring is refused that has none of the keys which were last used on its database; after `SECRET_KEY: `. */
export const STRANGE_RING =
  'none of its keys is one that the other instances on this database sign or verify with; ' +
  'set theirs, or, to change it, give all instances OLD,NEW first, then NEW,OLD.';

/** A new SECRET_KEY: 256 random bits, in base64url. */
export const makeSecretKey = (): string => randomBytes(32).toString('base64url');

/**
 * Reads `secret.key` in the data folder, made on first use with mode 0600. Two starters agree: the file appears whole
 * under its name or not at all, and the one that came second reads the first one's.
 * @throws SecretKeyError when the file is empty or too short: a new key would end every session in silence.
 */
export function loadSecretKey(dataDir: string): string {
  const file = join(dataDir, 'secret.key');
  const existing = readKeyFile(file);
  if (existing !== null) return existing;
  makeKeyFile(file);
  const made = readKeyFile(file);
  if (made !== null) return made;
  throw new SecretKeyError(`SECRET_KEY: ${file} was deleted while the server started; start it again.`);
}

function readKeyFile(file: string): string | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new SecretKeyError(`SECRET_KEY: ${file} cannot be read (${error instanceof Error ? error.message : error}).`);
  }
  if (text.length >= 32) return text;
  throw new SecretKeyError(
    `SECRET_KEY: ${file} is ${text === '' ? 'empty' : 'shorter than 32 characters'}; restore it from a backup, ` +
      'or delete it to have a new one made (that signs everyone out).',
  );
}

/**
 * Puts the key of a backup in the place of the one that is kept, with which what is restored could not be opened. The
 * other one is kept beside it, under a name that ends in `stamp`. Says whether there was another one.
 * @throws SecretKeyError
 */
export function restoreSecretKey(dataDir: string, secretKey: string, { stamp }: { stamp: string }): boolean {
  const file = join(dataDir, 'secret.key');
  const isThere = existsSync(file);
  const draft = draftKeyFile(file, secretKey);
  try {
    if (isThere && readFileSync(file, 'utf8').trim() === secretKey) return false;
    // Not a second name for it: some file systems know none.
    if (isThere) renameSync(file, `${file}.replaced-${stamp}`);
    renameSync(draft, file);
    return isThere;
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new SecretKeyError(`SECRET_KEY: ${file} cannot be replaced: ${reason}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}

function draftKeyFile(file: string, secretKey: string): string {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    const handle = openSync(draft, 'wx', 0o600);
    try {
      writeSync(handle, `${secretKey}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    return draft;
  } catch (error) {
    rmSync(draft, { force: true });
    const reason = error instanceof Error ? error.message : error;
    throw new SecretKeyError(`SECRET_KEY: ${file} cannot be made: ${reason}`, { cause: error });
  }
}

function makeKeyFile(file: string): void {
  const draft = draftKeyFile(file, makeSecretKey());
  try {
    linkSync(draft, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

export interface KeyRing {
  /** What tells its keys apart, the signing one first: public, for every token has one. */
  readonly ids: readonly string[];
  /** Signs a secret into the token that a cookie holds. `expiresAt` is in milliseconds since 1970. */
  sign(kind: TokenKind, secret: string, expiresAt: number): Promise<string>;
  /** The secret in a token of this kind that one of the keys signed, or null for anything else. Never throws. */
  open(kind: TokenKind, token: string): Promise<string | null>;
}

/** A ring from SECRET_KEYs: the first signs, all verify. Signing keys are derived (HKDF, RFC 5869), never used bare. */
export function createKeyRing(secretKeys: readonly string[], clock: Clock): KeyRing {
  const keys = new Map<string, Uint8Array>();
  for (const secretKey of secretKeys) {
    const key = new Uint8Array(hkdfSync('sha256', secretKey, '', 'backchannel token v1', 32));
    keys.set(createHash('sha256').update(key).digest('base64url').slice(0, 8), key);
  }
  /**
   * What has been opened, by kind and token. Opening one takes a thread that bcrypt wants, too; and what a key signed stays
   * signed. Nothing is remembered of what was not.
   */
  const opened = new LRUCache<string, { secret: string; expiresAt: number }>({ max: MAX_OPENED });
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
    open: async (kind, token) => {
      const known = opened.get(`${kind} ${token}`);
      if (known) return known.expiresAt > clock() ? known.secret : null;
      const { jwtVerify } = await loadJose();
      try {
        const { payload } = await jwtVerify(
          token,
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
        opened.set(`${kind} ${token}`, { secret, expiresAt: exp * 1000 });
        return secret;
      } catch {
        return null;
      }
    },
  };
}
