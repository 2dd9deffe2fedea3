// Which master password is in effect: the one rule of precedence, for the server, the command line and the checks.
import { createHash } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { verifyPassword } from './hashing.ts';
import { BUILT_IN_PASSWORD } from './rules.ts';

/**
 * The password in effect, by where it comes from. `stored` is kept in the database, and so is `generated`, which this start
 * has made.
 */
export type EffectivePassword =
  | { readonly origin: 'MASTER_PASSWORD_HASH' | 'stored' | 'generated'; readonly hash: string }
  | { readonly origin: 'MASTER_PASSWORD' | 'built-in'; readonly plain: string };

export type PasswordOrigin = EffectivePassword['origin'];

/** The password that a server with this configuration and database checks. Null if its first start would generate one. */
export function effectivePassword(configured: Config['password'], storedHash: string | null): EffectivePassword | null {
  if (configured.from === 'MASTER_PASSWORD_HASH') return { origin: configured.from, hash: configured.hash };
  if (configured.from === 'MASTER_PASSWORD') return { origin: configured.from, plain: configured.plain };
  if (storedHash !== null) return { origin: 'stored', hash: storedHash };
  return configured.builtInAllowed ? { origin: 'built-in', plain: BUILT_IN_PASSWORD } : null;
}

/** Whether a password is the one in effect. */
export async function matchesEffective(password: string, effective: EffectivePassword): Promise<boolean> {
  // Nobody can time this comparison: whoever may run it may read the configuration as well.
  return 'plain' in effective ? password === effective.plain : verifyPassword(password, effective.hash);
}

/** Whether the environment sets the password, so that it cannot be changed here. */
export const isSetByEnvironment = (origin: PasswordOrigin): boolean =>
  origin === 'MASTER_PASSWORD_HASH' || origin === 'MASTER_PASSWORD';

/** SHA-256 of a bcrypt hash. The hash is salted and slow to guess against, so this needs no key. */
export const passwordFingerprint = (hash: string): string => createHash('sha256').update(hash).digest('base64url');
