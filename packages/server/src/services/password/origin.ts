// Where the master password comes from: the environment, what is kept in the database, or one that is made at first start.
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import { PasswordEntity } from '../../store/entities.ts';
import { findOneBy } from '../../store/prepared.ts';
import type { Instances } from '../instances.ts';
import { BUILT_IN_PASSWORD, hashPassword, verifyPassword } from './hashing.ts';

/** Where the password that counts comes from. */
export type PasswordOrigin = 'MASTER_PASSWORD_HASH' | 'MASTER_PASSWORD' | 'stored' | 'built-in' | 'generated';

/** SHA-256 of a bcrypt hash. The hash is salted and slow to guess against, so this needs no key. */
export const passwordFingerprint = (hash: string): string => createHash('sha256').update(hash).digest('base64url');

/** Whether the environment sets the password, so that it cannot be changed here. */
export const isSetByEnvironment = (origin: PasswordOrigin): boolean => origin.startsWith('MASTER_PASSWORD');

export interface FoundPassword {
  hash: string;
  origin: PasswordOrigin;
  generated: string | null;
}

/** Finds it, and makes and keeps what has to be kept for it. */
export async function findPassword(options: {
  config: Pick<Config, 'password' | 'bcryptCost'>;
  store: Store;
  instances: Pick<Instances, 'join' | 'outlast'>;
  clock: Clock;
}): Promise<FoundPassword> {
  const { config, store, instances, clock } = options;
  const { password } = config;

  // Before anything is made: an instance that is alive with another password is not to be in the way.
  const join = async (fingerprint: string | null) => {
    for (;;) {
      const others = await store.write((em) => instances.join(em, fingerprint));
      if (others.length === 0) return;
      await instances.outlast(others);
    }
  };
  if (password.from === 'MASTER_PASSWORD_HASH') {
    await join(passwordFingerprint(password.hash));
    return { hash: password.hash, origin: password.from, generated: null };
  }
  const keepPlain = async (plain: string, origin: PasswordOrigin): Promise<FoundPassword> => {
    const hash = await keepHashOfPlain(plain, { origin, store, instances, clock, cost: config.bcryptCost });
    return { hash, origin, generated: null };
  };
  if (password.from === 'MASTER_PASSWORD') return keepPlain(password.plain, password.from);

  await join(null);
  const stored = await readHash(store, 'stored');
  if (stored) return { hash: stored, origin: 'stored', generated: null };
  if (password.builtInAllowed) return keepPlain(BUILT_IN_PASSWORD, 'built-in');

  const generated = makePassword();
  const made = await hashPassword(generated, { cost: config.bcryptCost });
  const kept = await store.write(async (em) => {
    await em.execute(
      'insert into passwords (origin, hash, changed_at) values (?, ?, ?) on conflict (origin) do nothing',
      ['stored', made, clock()],
      'run',
    );
    return readHashIn(em, 'stored');
  });
  // Another instance that started at the same moment was first: its password counts, and it has shown it.
  if (kept !== made) return { hash: kept ?? made, origin: 'stored', generated: null };
  return { hash: made, origin: 'generated', generated };
}

/** The same without making anything: a password that no server has met yet has no hash, and opens nothing here. */
export async function findPasswordAsItIs(options: {
  config: Pick<Config, 'password'>;
  store: Store;
}): Promise<FoundPassword> {
  const { password } = options.config;
  if (password.from === 'MASTER_PASSWORD_HASH') return { hash: password.hash, origin: password.from, generated: null };
  if (password.from === 'MASTER_PASSWORD') return { hash: '', origin: password.from, generated: null };
  const stored = await readHash(options.store, 'stored');
  return { hash: stored ?? '', origin: stored === null ? 'built-in' : 'stored', generated: null };
}

/** The bcrypt hash kept of a plain password: made anew when the password differs from the one it was made of. */
async function keepHashOfPlain(
  plain: string,
  options: {
    origin: PasswordOrigin;
    store: Store;
    instances: Pick<Instances, 'join' | 'outlast'>;
    clock: Clock;
    cost: number;
  },
): Promise<string> {
  const { origin, store, instances, clock, cost } = options;
  for (;;) {
    const kept = await readHash(store, 'environment');
    const isOfPlain = kept !== null && (await verifyPassword(plain, kept));
    const hash = isOfPlain ? kept : await hashPassword(plain, { cost });
    const others = await store.write(async (em) => {
      // Of two that start at once, the second finds the first one's hash, and looks at that.
      if ((await readHashIn(em, 'environment')) !== kept) return null;
      const rivals = await instances.join(em, isSetByEnvironment(origin) ? passwordFingerprint(hash) : null);
      if (rivals.length === 0 && !isOfPlain) await writeHash(em, 'environment', hash, clock());
      return rivals;
    });
    if (others?.length === 0) return hash;
    if (others) await instances.outlast(others);
  }
}

export const writeHash = (em: EntityManager, origin: string, hash: string, at: number) =>
  em.execute(
    `insert into passwords (origin, hash, changed_at) values (?, ?, ?)
     on conflict (origin) do update set hash = excluded.hash, changed_at = excluded.changed_at`,
    [origin, hash, at],
    'run',
  );

const readHash = (store: Store, origin: string) => store.read((em) => readHashIn(em, origin));

export async function readHashIn(em: EntityManager, origin: string): Promise<string | null> {
  return (await findOneBy(em, PasswordEntity, 'origin', origin))?.hash ?? null;
}

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** 80 random bits in four groups of four characters that are not mistaken for one another (Crockford's base 32). */
function makePassword(): string {
  const bits = BigInt(`0x${randomBytes(10).toString('hex')}`);
  const characters = Array.from({ length: 16 }, (_, index) => CROCKFORD[Number((bits >> BigInt(index * 5)) & 31n)]);
  return [0, 4, 8, 12].map((start) => characters.slice(start, start + 4).join('')).join('-');
}
