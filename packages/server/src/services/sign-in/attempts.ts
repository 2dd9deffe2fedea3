// Attempts to prove to be the operator, from every interface and for every purpose: queued, throttled, verified, recorded. When
// the proofs suffice, one transaction completes the attempt. Until then nothing that it opens exists.
import { randomInt } from 'node:crypto';
import type { EntityManager, Store } from '../../store/database.ts';
import type { Gate, Revoke } from '../access/gate.ts';
import type { Caller } from '../caller.ts';
import type { Device } from '../devices.ts';
import type { Events } from '../events.ts';
import type { HashingLane, HashingQueue } from '../password/hashing.ts';
import type { Password } from '../password/password.ts';
import type { Admitted, Origin, Throttle, Throttled } from '../throttle.ts';
import { type AttemptOutcome, type AttemptPurpose, createOutcomes, type OutcomeFigures } from './outcomes.ts';
import { type Proof, suffice } from './proofs.ts';

/** The shortest and longest time that a caller is asked to wait while too many passwords are being checked, in seconds. */
const BUSY_RETRY_AFTER_SECONDS = { min: 2, max: 9 };

/** Who makes an attempt, and what for. */
export interface Attempt {
  readonly purpose: AttemptPurpose;
  readonly caller: Caller;
  readonly device: Device | null;
  /** The session that asks, if one does. */
  readonly sessionId: string | null;
}

export type Busy = { outcome: 'busy'; retryAfterSeconds: number };
export type Refusal = { outcome: 'wrong' } | Throttled | Busy;

interface Proven {
  outcome: 'proven';
  /** The fingerprint of the password that was proven: what a new session is bound to. */
  fingerprint: string;
  /**
   * Forgives the attempt and runs `work`, in one transaction. Null, and a failed attempt after all, if another password
   * has come into effect since this one was verified.
   */
  complete<T>(work: (em: EntityManager, revoke: Revoke) => Promise<T>): Promise<T | null>;
}

export interface Attempts {
  /** The one place where proofs are verified: counted before, recorded if wrong, forgiven when completed. */
  prove(attempt: Attempt, proofs: readonly Proof[]): Promise<Proven | Refusal>;
  /** How many attempts there were, by purpose and outcome. */
  figures(): OutcomeFigures;
}

export function createAttempts(options: {
  store: Store;
  gate: Pick<Gate, 'writeRevoking'>;
  password: Password;
  queue: HashingQueue;
  throttle: Throttle;
  events: Events;
  /** Called for each attempt with a wrong proof. */
  onWrong: (attempt: Attempt) => void;
}): Attempts {
  const { store, gate, password, queue, throttle, events, onWrong } = options;
  const outcomes = createOutcomes();
  /** Successful attempts that could not be written. They are forgiven in the next transaction that counts. */
  const unforgiven = new Set<Admitted>();

  const count = (attempt: Attempt, outcome: AttemptOutcome) => {
    outcomes.count(attempt.purpose, outcome);
    if (outcome === 'wrong') onWrong(attempt);
  };

  const failureOf = ({ purpose, caller, sessionId }: Attempt) =>
    ({ type: `${purpose}.failed`, caller, sessionId }) as const;

  /** Counts an attempt before anything is verified. */
  const admit = async (attempt: Attempt): Promise<Admitted | Throttled> => {
    const due = [...unforgiven];
    unforgiven.clear();
    try {
      const admitWithin = async (em: EntityManager) => {
        await password.refreshWithin(em);
        for (const admitted of due) await throttle.forgiveWithin(em, admitted);
        return throttle.admitWithin(em, originOf(attempt));
      };
      // A power failure may lose a count, which grants one more attempt. Waiting for the disk would delay every check.
      return await store.write(admitWithin, { durable: false });
    } catch (error) {
      for (const admitted of due) unforgiven.add(admitted);
      throw error;
    }
  };

  const proven = (admitted: Admitted, attempt: Attempt, fingerprint: string): Proven => ({
    outcome: 'proven',
    fingerprint,
    complete: async (work) => {
      try {
        const completed = await gate.writeRevoking(async (em, revoke) => {
          if ((await password.fingerprintWithin(em)) !== fingerprint) {
            await events.recordWithin(em, failureOf(attempt));
            return null;
          }
          await throttle.forgiveWithin(em, admitted);
          return work(em, revoke);
        });
        count(attempt, completed === null ? 'wrong' : 'right');
        return completed;
      } catch (error) {
        count(attempt, 'unavailable');
        unforgiven.add(admitted);
        throw error;
      }
    },
  });

  /** Counts the attempt when its turn comes, not before: an attempt that is turned away has not failed. */
  const countAndVerify = async (attempt: Attempt, proofs: readonly Proof[]): Promise<Proven | Refusal> => {
    const admission = await admit(attempt);
    if (admission.outcome === 'throttled') return admission;
    const presented = proofs.find(({ kind }) => kind === 'password');
    const fingerprint = presented ? await password.verify(presented.password) : null;
    if (fingerprint !== null && suffice(proofs)) return proven(admission, attempt, fingerprint);
    await events.recordNow(failureOf(attempt));
    return { outcome: 'wrong' };
  };

  const verify = async (attempt: Attempt, proofs: readonly Proof[]): Promise<Proven | Refusal> => {
    const lane: HashingLane = attempt.device ? 'known-device' : 'unknown-device';
    // Before anything is read, so that a flood is turned away without touching the database.
    if (queue.isFull(lane)) return busy();
    // What is still to be forgiven may be the very failures that this attempt would wait for.
    const refusal = unforgiven.size > 0 ? null : await throttle.refusal(originOf(attempt));
    if (refusal) return refusal;
    return (await queue.run(lane, () => countAndVerify(attempt, proofs))) ?? busy();
  };

  return {
    prove: async (attempt, proofs) => {
      try {
        const result = await verify(attempt, proofs);
        // A right one is counted when it is completed.
        if (result.outcome !== 'proven') count(attempt, result.outcome);
        return result;
      } catch (error) {
        count(attempt, 'unavailable');
        throw error;
      }
    },
    figures: outcomes.figures,
  };
}

const originOf = ({ device, caller, sessionId }: Attempt): Origin => ({
  deviceId: device?.id ?? null,
  caller,
  sessionId,
});

/** A random wait, so that clients that are turned away together do not come back together. */
function busy(): Busy {
  const { min, max } = BUSY_RETRY_AFTER_SECONDS;
  return { outcome: 'busy', retryAfterSeconds: randomInt(min, max + 1) };
}
