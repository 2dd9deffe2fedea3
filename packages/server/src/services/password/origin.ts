// Resolves the password in effect to a bcrypt hash when a server or a tool opens. It creates what a server needs: the hash of
// a plain password, or a generated password.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { Store } from '../../store/database.ts';
import {
  type KeptHash,
  readHashWithin,
  writeFirstHashWithin,
  writeHashWithin,
} from '../../store/statements/passwords.ts';
import type { Instances } from '../instances.ts';
import { effectivePassword, isSetByEnvironment, type PasswordOrigin, passwordFingerprint } from './effective.ts';
import { hashPassword, verifyPassword } from './hashing.ts';

export interface ResolvedPassword {
  /** Its bcrypt hash. Empty, which nothing matches, if a tool has met no hash of it yet. */
  hash: string;
  origin: PasswordOrigin;
  /** The password itself if this start generated it; null otherwise. */
  generated: string | null;
}

interface Options {
  config: Pick<Config, 'password' | 'bcryptCost'>;
  store: Store;
  instances: Pick<Instances, 'joinWithin' | 'waitUntilGone'>;
  clock: Clock;
}

/** For a server: joins the instances on the database, and creates and keeps what is missing. */
export async function resolvePassword(options: Options): Promise<ResolvedPassword> {
  const { config, store, clock } = options;
  const configured = effectivePassword(config.password, null);
  if (configured?.origin === 'MASTER_PASSWORD_HASH') {
    await join(options, passwordFingerprint(configured.hash));
    return { ...configured, generated: null };
  }
  if (configured?.origin === 'MASTER_PASSWORD') return keepHashOfPlain(options, configured);

  // Join before anything is created, so that an instance with another password is not disturbed.
  await join(options, null);
  const stored = await readHash(store, 'stored');
  if (stored !== null) return { hash: stored, origin: 'stored', generated: null };
  if (configured?.origin === 'built-in') return keepHashOfPlain(options, configured);

  const generated = generatePassword();
  const hash = await hashPassword(generated, { cost: config.bcryptCost });
  const kept = await store.write((em) => writeFirstHashWithin(em, 'stored', { hash, at: clock() }));
  // Another instance started at the same moment and was first. Its password is in effect, and it has shown it.
  if (kept !== hash) return { hash: kept ?? hash, origin: 'stored', generated: null };
  return { hash, origin: 'generated', generated };
}

/** For a tool beside a server: creates nothing. */
export async function findResolvedPassword({
  config,
  store,
}: Pick<Options, 'config' | 'store'>): Promise<ResolvedPassword> {
  const stored = await readHash(store, 'stored');
  const effective = effectivePassword(config.password, stored);
  const hash = effective && 'hash' in effective ? effective.hash : null;
  return { hash: hash ?? '', origin: effective?.origin ?? 'built-in', generated: null };
}

/** Counts as a live instance from now on; waits for instances with another password to go. */
async function join({ store, instances }: Options, fingerprint: string | null): Promise<void> {
  for (;;) {
    const others = await store.write((em) => instances.joinWithin(em, fingerprint));
    if (others.length === 0) return;
    await instances.waitUntilGone(others);
  }
}

/** Keeps one bcrypt hash of a plain password, which is replaced if the password differs. */
async function keepHashOfPlain(
  { config, store, instances, clock }: Options,
  { origin, plain }: { origin: PasswordOrigin; plain: string },
): Promise<ResolvedPassword> {
  for (;;) {
    const kept = await readHash(store, 'environment');
    const isOfPlain = kept !== null && (await verifyPassword(plain, kept));
    const hash = isOfPlain ? kept : await hashPassword(plain, { cost: config.bcryptCost });
    const others = await store.write(async (em) => {
      // Of two that start together, the second finds the hash of the first, and starts over with that.
      if ((await readHashWithin(em, 'environment')) !== kept) return null;
      const rivals = await instances.joinWithin(em, isSetByEnvironment(origin) ? passwordFingerprint(hash) : null);
      if (rivals.length === 0 && !isOfPlain) await writeHashWithin(em, 'environment', { hash, at: clock() });
      return rivals;
    });
    if (others?.length === 0) return { hash, origin, generated: null };
    if (others) await instances.waitUntilGone(others);
  }
}

const readHash = (store: Store, origin: KeptHash) => store.read((em) => readHashWithin(em, origin));

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** 80 random bits in four groups of four characters that are not mistaken for one another (Crockford's Base32). */
function generatePassword(): string {
  const bits = BigInt(`0x${randomBytes(10).toString('hex')}`);
  const characters = Array.from({ length: 16 }, (_, index) => CROCKFORD[Number((bits >> BigInt(index * 5)) & 31n)]);
  return [0, 4, 8, 12].map((start) => characters.slice(start, start + 4).join('')).join('-');
}
