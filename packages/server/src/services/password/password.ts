// The master password in effect, as this process knows it, and what is done with passwords: verify, hash, replace. Attempts,
// throttle and events are for sign-in/.
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import { readHashWithin, writeHashWithin } from '../../store/statements/passwords.ts';
import type { Instances } from '../instances.ts';
import { isSetByEnvironment, type PasswordOrigin, passwordFingerprint } from './effective.ts';
import { type HashingQueue, hashPassword, verifyPassword } from './hashing.ts';
import { findResolvedPassword, resolvePassword } from './origin.ts';

export interface Password {
  /** Where the password in effect comes from. */
  origin(): PasswordOrigin;
  /** The password that this start generated, to be shown once; null otherwise. */
  readonly generated: string | null;
  /** The fingerprint of the hash that a password matches, or null. It takes as long as bcrypt; see `HashingQueue`. */
  verify(password: string): Promise<string | null>;
  /** Hashes any password at the configured cost; null if too many are being hashed. */
  hash(password: string): Promise<string | null>;
  /** Whether a session with this fingerprint was opened with the password in effect. */
  isCurrent(fingerprint: string): Promise<boolean>;
  /** The fingerprint of the hash in effect: new sessions are bound to it. */
  fingerprint(): string;
  /** The same as the caller's transaction sees it. It differs if the password was changed since it was verified. */
  fingerprintWithin(em: EntityManager): Promise<string>;
  /** Reads a password that another process may have set. */
  refreshWithin(em: EntityManager): Promise<void>;
  /** This hash is in effect from the commit on, unless the environment sets the password. */
  replaceWithin(em: EntityManager, hash: string): Promise<void>;
}

/** `mayCreate`: whether a missing hash or password is created, as a server does, or not, as a tool beside it. */
export async function openPassword(options: {
  config: Pick<Config, 'password' | 'bcryptCost'>;
  store: Store;
  queue: HashingQueue;
  instances: Pick<Instances, 'joinWithin' | 'waitUntilGone'>;
  clock: Clock;
  mayCreate: boolean;
}): Promise<Password> {
  const { config, store, queue, instances, clock, mayCreate } = options;
  const resolved = mayCreate
    ? await resolvePassword({ config, store, instances, clock })
    : await findResolvedPassword({ config, store });
  let { hash: current, origin } = resolved;

  const refreshWithin = async (em: EntityManager) => {
    if (isSetByEnvironment(origin)) return;
    const stored = await readHashWithin(em, 'stored');
    if (stored === null || stored === current) return;
    current = stored;
    origin = 'stored';
  };

  return {
    origin: () => origin,
    generated: resolved.generated,
    verify: async (password) => {
      const hash = current;
      return (await verifyPassword(password, hash)) ? passwordFingerprint(hash) : null;
    },
    hash: async (password) => queue.run('operator', () => hashPassword(password, { cost: config.bcryptCost })),
    fingerprint: () => passwordFingerprint(current),
    isCurrent: async (fingerprint) => {
      if (fingerprint === passwordFingerprint(current)) return true;
      await store.read(refreshWithin);
      return fingerprint === passwordFingerprint(current);
    },
    fingerprintWithin: async (em) => {
      const stored = isSetByEnvironment(origin) ? null : await readHashWithin(em, 'stored');
      return passwordFingerprint(stored ?? current);
    },
    refreshWithin,
    replaceWithin: async (em, hash) => {
      await writeHashWithin(em, 'stored', { hash, at: clock() });
    },
  };
}
