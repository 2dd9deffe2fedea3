// The master password: which one counts, and the one function that checks it, whichever face asks.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { PasswordEntity } from '../store/entities.ts';
import { findOneBy } from '../store/prepared.ts';
import { type AttemptPurpose, type Attempts, createAttempts } from './attempts.ts';
import type { Client } from './client.ts';
import type { Device } from './devices.ts';
import type { Events } from './events.ts';
import {
  BUILT_IN_PASSWORD,
  createHashingQueue,
  type HashingFigures,
  type HashingLane,
  hashPassword,
  verifyPassword,
} from './hashing.ts';
import type { Instances } from './instances.ts';
import type { Admitted, Throttle, Throttled, Try } from './throttle.ts';

/** The shortest and longest that a client is asked to wait when too many passwords are being checked. */
const BUSY_RETRY_AFTER_SECONDS = { min: 2, max: 9 };

/** Where the password that counts comes from. */
export type PasswordOrigin = 'MASTER_PASSWORD_HASH' | 'MASTER_PASSWORD' | 'stored' | 'built-in' | 'generated';

export interface RightPassword {
  outcome: 'right';
  fingerprint: string;
  /**
   * Writes what the password opens, and forgives the try, in one transaction. Null, and a failed try after all, where
   * another password has come to count since it was checked.
   */
  settle<T>(open: (em: EntityManager) => Promise<T>): Promise<T | null>;
}

export type PasswordCheck =
  | RightPassword
  | { outcome: 'wrong' }
  | Throttled
  | { outcome: 'busy'; retryAfterSeconds: number };

/** Who tries a password, and what for. */
export interface Attempt {
  readonly purpose: AttemptPurpose;
  readonly client: Client;
  readonly device: Device | null;
  /** The session that asks, where one does. */
  readonly sessionId: string | null;
}

export interface Password {
  /** Where the password that counts comes from now. */
  origin(): PasswordOrigin;
  /** The password made at this start, to be shown once; null otherwise. */
  readonly generated: string | null;
  /** The one place where a master password is checked: counted before, recorded when wrong; `settle` forgives a right one. */
  check(password: string, attempt: Attempt): Promise<PasswordCheck>;
  /** How often it was tried, and how busy bcrypt is. */
  figures(): { attempts: ReturnType<Attempts['figures']>; hashing: HashingFigures };
  /** Hashes any password at the configured cost; null when too many are being hashed. */
  hash(password: string): Promise<string | null>;
  /** Whether a session with this fingerprint was opened with the password that counts now. */
  isCurrent(fingerprint: string): Promise<boolean>;
  /** The fingerprint of the hash that counts: what a new session is bound to. */
  fingerprint(): string;
  /** The same as the caller's transaction sees it: another one when the password was changed since it was checked. */
  fingerprintWithin(em: EntityManager): Promise<string>;
  /** Within the caller's transaction: from its commit on this hash counts, unless the environment sets the password. */
  replace(em: EntityManager, hash: string): Promise<void>;
}

/** SHA-256 of a bcrypt hash. The hash is salted and slow to guess against, so this needs no key. */
export const passwordFingerprint = (hash: string): string => createHash('sha256').update(hash).digest('base64url');

/** Whether the environment sets the password, so that it cannot be changed here. */
export const isSetByEnvironment = (origin: PasswordOrigin): boolean => origin.startsWith('MASTER_PASSWORD');

/** Finds the password that counts; makes and keeps what has to be kept for it. */
export async function openPassword(options: {
  config: Pick<Config, 'password' | 'bcryptCost' | 'threadPoolSize'>;
  store: Store;
  events: Events;
  throttle: Throttle;
  instances: Pick<Instances, 'join' | 'outlast'>;
  clock: Clock;
  /** Whether a hash or a password may be made where there is none yet. */
  mayMake: boolean;
}): Promise<Password> {
  const { config, store, events, throttle, instances, clock, mayMake } = options;
  const found = mayMake
    ? await findPassword({ config, store, instances, clock })
    : await findPasswordAsItIs({ config, store });
  const queue = createHashingQueue({ threadPoolSize: config.threadPoolSize });
  const attempts = createAttempts();
  let { hash: current, origin } = found;

  /** One that is kept in the database may be set by another process; what the environment sets holds until restart. */
  const refresh = async (em: EntityManager) => {
    if (isSetByEnvironment(origin)) return;
    const stored = await readHashIn(em, 'stored');
    if (stored === null || stored === current) return;
    current = stored;
    origin = 'stored';
  };

  /** Not the same for all: those who were turned away together would come back together. */
  const busy = () => {
    const { min, max } = BUSY_RETRY_AFTER_SECONDS;
    return { outcome: 'busy', retryAfterSeconds: randomInt(min, max + 1) } as const;
  };

  const fingerprintWithin = async (em: EntityManager) => {
    const stored = isSetByEnvironment(origin) ? null : await readHashIn(em, 'stored');
    return passwordFingerprint(stored ?? current);
  };

  const failed = ({ purpose, client, sessionId }: Attempt) =>
    ({ type: `${purpose}.failed`, client, sessionId }) as const;

  /** What a right password is answered with: the try stands as a failure until what it opens has been written. */
  const right = (admitted: Admitted, attempt: Attempt, fingerprint: string): RightPassword => ({
    outcome: 'right',
    fingerprint,
    settle: async (open) => {
      try {
        const opened = await store.write(async (em) => {
          if ((await fingerprintWithin(em)) !== fingerprint) {
            await events.record(em, failed(attempt));
            return null;
          }
          await throttle.forgive(em, admitted);
          return open(em);
        });
        attempts.count(attempt.purpose, opened === null ? 'wrong' : 'right');
        return opened;
      } catch (error) {
        attempts.count(attempt.purpose, 'unavailable');
        throttle.forgiveLater(admitted);
        throw error;
      }
    },
  });

  /** Counted when its turn comes and not before: whoever is turned away has not failed. */
  const countAndVerify = async (password: string, attempt: Attempt): Promise<PasswordCheck> => {
    const admission = await throttle.admit(toTry(attempt), refresh);
    if (admission.outcome === 'throttled') return admission;
    const hash = current;
    if (await verifyPassword(password, hash)) return right(admission, attempt, passwordFingerprint(hash));
    await events.recordNow(failed(attempt));
    return { outcome: 'wrong' };
  };

  const check = async (password: string, attempt: Attempt): Promise<PasswordCheck> => {
    const lane: HashingLane = attempt.device ? 'known-device' : 'unknown-device';
    // Before anything is read: a flood is shed without touching the database.
    if (queue.isFull(lane)) return busy();
    const refusal = await throttle.refusal(toTry(attempt));
    if (refusal) return refusal;
    return (await queue.run(lane, () => countAndVerify(password, attempt))) ?? busy();
  };

  return {
    origin: () => origin,
    generated: found.generated,
    check: async (password, attempt) => {
      try {
        const checked = await check(password, attempt);
        // A right one is counted when what it opens is written.
        if (checked.outcome !== 'right') attempts.count(attempt.purpose, checked.outcome);
        return checked;
      } catch (error) {
        attempts.count(attempt.purpose, 'unavailable');
        throw error;
      }
    },
    figures: () => ({ attempts: attempts.figures(), hashing: queue.figures() }),
    hash: async (password) => queue.run('operator', () => hashPassword(password, { cost: config.bcryptCost })),
    fingerprint: () => passwordFingerprint(current),
    isCurrent: async (fingerprint) => {
      if (fingerprint === passwordFingerprint(current)) return true;
      await store.read(refresh);
      return fingerprint === passwordFingerprint(current);
    },
    fingerprintWithin,
    replace: async (em, hash) => {
      await writeHash(em, 'stored', hash, clock());
    },
  };
}

/** The same without making anything: a password that no server has met yet has no hash, and opens nothing here. */
async function findPasswordAsItIs(options: { config: Pick<Config, 'password'>; store: Store }): Promise<FoundPassword> {
  const { password } = options.config;
  if (password.from === 'MASTER_PASSWORD_HASH') return { hash: password.hash, origin: password.from, generated: null };
  if (password.from === 'MASTER_PASSWORD') return { hash: '', origin: password.from, generated: null };
  const stored = await readHash(options.store, 'stored');
  return { hash: stored ?? '', origin: stored === null ? 'built-in' : 'stored', generated: null };
}

const toTry = ({ device, client, sessionId }: Attempt): Try => ({ deviceId: device?.id ?? null, client, sessionId });

interface FoundPassword {
  hash: string;
  origin: PasswordOrigin;
  generated: string | null;
}

async function findPassword(options: {
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

const writeHash = (em: EntityManager, origin: string, hash: string, at: number) =>
  em.execute(
    `insert into passwords (origin, hash, changed_at) values (?, ?, ?)
     on conflict (origin) do update set hash = excluded.hash, changed_at = excluded.changed_at`,
    [origin, hash, at],
    'run',
  );

const readHash = (store: Store, origin: string) => store.read((em) => readHashIn(em, origin));

async function readHashIn(em: EntityManager, origin: string): Promise<string | null> {
  return (await findOneBy(em, PasswordEntity, 'origin', origin))?.hash ?? null;
}

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** 80 random bits in four groups of four characters that are not mistaken for one another (Crockford's base 32). */
function makePassword(): string {
  const bits = BigInt(`0x${randomBytes(10).toString('hex')}`);
  const characters = Array.from({ length: 16 }, (_, index) => CROCKFORD[Number((bits >> BigInt(index * 5)) & 31n)]);
  return [0, 4, 8, 12].map((start) => characters.slice(start, start + 4).join('')).join('-');
}
