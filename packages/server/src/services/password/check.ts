// The one function that checks the master password, whichever face asks.
import { randomInt } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { EntityManager, Store } from '../../store/database.ts';
import type { Client } from '../caller.ts';
import type { Device } from '../devices.ts';
import type { Events } from '../events.ts';
import type { Instances } from '../instances.ts';
import type { Admitted, Throttle, Throttled, Try } from '../throttle.ts';
import { type AttemptOutcome, type AttemptPurpose, type Attempts, createAttempts } from './attempts.ts';
import { createHashingQueue, type HashingFigures, type HashingLane, hashPassword, verifyPassword } from './hashing.ts';
import {
  findPassword,
  findPasswordAsItIs,
  isSetByEnvironment,
  type PasswordOrigin,
  passwordFingerprint,
  readHashIn,
  writeHash,
} from './origin.ts';

/** The shortest and longest that a client is asked to wait when too many passwords are being checked. */
const BUSY_RETRY_AFTER_SECONDS = { min: 2, max: 9 };

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
  /** Told of each wrong one. */
  onWrong: (attempt: Attempt) => void;
}): Promise<Password> {
  const { config, store, events, throttle, instances, clock, mayMake, onWrong } = options;
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

  const count = (attempt: Attempt, outcome: AttemptOutcome) => {
    attempts.count(attempt.purpose, outcome);
    if (outcome === 'wrong') onWrong(attempt);
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
        count(attempt, opened === null ? 'wrong' : 'right');
        return opened;
      } catch (error) {
        count(attempt, 'unavailable');
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
        if (checked.outcome !== 'right') count(attempt, checked.outcome);
        return checked;
      } catch (error) {
        count(attempt, 'unavailable');
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

const toTry = ({ device, client, sessionId }: Attempt): Try => ({ deviceId: device?.id ?? null, client, sessionId });
