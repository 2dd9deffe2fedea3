// The master password: which one counts, and the one function that checks it, whichever face asks.
import { createHash, randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/sqlite';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Store } from '../store/database.ts';
import { PasswordEntity } from '../store/entities.ts';
import type { Client } from './client.ts';
import type { Events } from './events.ts';
import { createHashingQueue, type HashingLane, hashPassword, verifyPassword } from './hashing.ts';

/** The seed's password, for trying things out on a loopback address only. */
export const BUILT_IN_PASSWORD = 'admin123';
/** How long a client is asked to wait when too many passwords are being checked. */
const BUSY_RETRY_AFTER_SECONDS = 2;

/** Where the password that counts comes from. */
export type PasswordOrigin = 'MASTER_PASSWORD_HASH' | 'MASTER_PASSWORD' | 'stored' | 'built-in' | 'generated';

export type PasswordCheck =
  | { outcome: 'right'; fingerprint: string }
  | { outcome: 'wrong' }
  | { outcome: 'busy'; retryAfterSeconds: number };

export interface Password {
  readonly origin: PasswordOrigin;
  /** The password made at this start, to be shown once; null otherwise. */
  readonly generated: string | null;
  /** The one place where a master password is checked. A failure is recorded as an event. */
  check(password: string, client: Client): Promise<PasswordCheck>;
  /** Hashes any password at the configured cost; null when too many are being hashed. */
  hash(password: string): Promise<string | null>;
  /** The fingerprint of the hash that counts: what a new session is bound to. */
  fingerprint(): string;
  /** Whether a session with this fingerprint was opened with the password that counts now. */
  isCurrent(fingerprint: string): Promise<boolean>;
}

/** SHA-256 of a bcrypt hash. The hash is salted and slow to guess against, so this needs no key. */
export const passwordFingerprint = (hash: string): string => createHash('sha256').update(hash).digest('base64url');

/** Finds the password that counts; makes and keeps what has to be kept for it. */
export async function openPassword(options: {
  config: Pick<Config, 'password' | 'bcryptCost' | 'threadPoolSize'>;
  store: Store;
  events: Events;
  clock: Clock;
}): Promise<Password> {
  const { config, store, events, clock } = options;
  const found = await findPassword({ config, store, clock });
  const queue = createHashingQueue({ threadPoolSize: config.threadPoolSize });
  let current = found.hash;

  /** A stored password may have been changed by another process; every other origin holds for this process's life. */
  const refresh = async () => {
    if (found.origin !== 'stored' && found.origin !== 'generated') return;
    current = (await readHash(store, 'stored')) ?? current;
  };

  return {
    origin: found.origin,
    generated: found.generated,
    check: async (password, client) => {
      await refresh();
      const hash = current;
      const lane: HashingLane = 'unknown-device';
      const checking = queue.run(lane, () => verifyPassword(password, hash));
      if (!checking) return { outcome: 'busy', retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS };
      if (await checking) return { outcome: 'right', fingerprint: passwordFingerprint(hash) };
      await events.recordNow({ type: 'login.failed', client });
      return { outcome: 'wrong' };
    },
    hash: async (password) => queue.run('operator', () => hashPassword(password, { cost: config.bcryptCost })),
    fingerprint: () => passwordFingerprint(current),
    isCurrent: async (fingerprint) => {
      if (fingerprint === passwordFingerprint(current)) return true;
      await refresh();
      return fingerprint === passwordFingerprint(current);
    },
  };
}

interface FoundPassword {
  hash: string;
  origin: PasswordOrigin;
  generated: string | null;
}

async function findPassword(options: {
  config: Pick<Config, 'password' | 'bcryptCost'>;
  store: Store;
  clock: Clock;
}): Promise<FoundPassword> {
  const { config, store, clock } = options;
  const { password } = config;
  if (password.from === 'MASTER_PASSWORD_HASH') return { hash: password.hash, origin: password.from, generated: null };

  const keepPlain = async (plain: string, origin: PasswordOrigin): Promise<FoundPassword> => {
    const hash = await keepHashOfPlain(plain, { store, clock, cost: config.bcryptCost });
    return { hash, origin, generated: null };
  };
  if (password.from === 'MASTER_PASSWORD') return keepPlain(password.plain, password.from);

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

/** The bcrypt hash kept of a plain password: made anew when the password differs from the one it was made of. */
async function keepHashOfPlain(plain: string, options: { store: Store; clock: Clock; cost: number }): Promise<string> {
  const { store, clock, cost } = options;
  for (;;) {
    const kept = await readHash(store, 'environment');
    if (kept && (await verifyPassword(plain, kept))) return kept;
    const made = await hashPassword(plain, { cost });
    // Only over the hash that was read: of two that start at once, the second finds the first one's hash and takes it.
    await store.write((em) =>
      em.execute(
        `insert into passwords (origin, hash, changed_at) values ('environment', ?, ?)
         on conflict (origin) do update set hash = excluded.hash, changed_at = excluded.changed_at
         where passwords.hash = ?`,
        [made, clock(), kept ?? ''],
        'run',
      ),
    );
  }
}

const readHash = (store: Store, origin: string) => store.read((em) => readHashIn(em, origin));

async function readHashIn(em: EntityManager, origin: string): Promise<string | null> {
  const row = await em.findOne(PasswordEntity, { origin });
  return row?.hash ?? null;
}

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** 80 random bits in four groups of four characters that are not mistaken for one another (Crockford's base 32). */
function makePassword(): string {
  const bits = BigInt(`0x${randomBytes(10).toString('hex')}`);
  const characters = Array.from({ length: 16 }, (_, index) => CROCKFORD[Number((bits >> BigInt(index * 5)) & 31n)]);
  return [0, 4, 8, 12].map((start) => characters.slice(start, start + 4).join('')).join('-');
}
