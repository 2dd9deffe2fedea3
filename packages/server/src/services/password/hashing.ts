// bcrypt: what it can hash, and a queue that limits how much of it runs at once. It knows no database and no requests.
import { availableParallelism } from 'node:os';
import { hash as bcryptHash, verify as bcryptVerify } from '@node-rs/bcrypt';
import { passwordProblem } from './rules.ts';

// With this file, what programs outside use of passwords.
export { newPasswordProblem, passwordProblem, passwordWarnings } from './rules.ts';

/** The default cost of new hashes. Each step doubles the work; OWASP asks for at least 10. */
const DEFAULT_BCRYPT_COST = 12;

/**
 * Hashes a password with bcrypt (`$2b$`).
 * @throws RangeError if bcrypt cannot hash it: over 72 bytes in UTF-8, a NUL, or empty.
 */
export async function hashPassword(password: string, options: { cost?: number } = {}): Promise<string> {
  const problem = passwordProblem(password);
  if (problem) throw new RangeError(problem);
  return bcryptHash(password, { cost: options.cost ?? DEFAULT_BCRYPT_COST });
}

/** Whether a password matches a bcrypt hash (`$2a$`, `$2b$`, `$2y$`). One that bcrypt cannot hash matches none. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  return passwordProblem(password) === null && bcryptVerify(password, hash);
}

/** A hash in the forms people paste: base64 has no `$` for Docker Compose to expand, `env` is the whole `.env` line. */
export function hashForms(hash: string): { hash: string; base64: string; env: string } {
  return { hash, base64: Buffer.from(hash).toString('base64'), env: `MASTER_PASSWORD_HASH='${hash}'` };
}

/** The lanes of the queue. They take turns, so that a flood in one does not block another. */
export const hashingLanes = ['known-device', 'unknown-device', 'operator'] as const;
export type HashingLane = (typeof hashingLanes)[number];

/** How busy the queue is, and what it has done since the process started. */
interface HashingFigures {
  running: number;
  waiting: Readonly<Record<HashingLane, number>>;
  /** Finished jobs. */
  done: number;
  /** How long they waited and worked in total, in seconds. */
  waitedSeconds: number;
  workedSeconds: number;
}

export interface HashingQueue {
  /** Runs `job` when its lane's turn comes; null at once if the lane is full. */
  run<T>(lane: HashingLane, job: () => Promise<T>): Promise<T> | null;
  /** Whether a job in this lane would be turned away now. */
  isFull(lane: HashingLane): boolean;
  figures(): HashingFigures;
}

const WAITING_PER_LANE = 16;

/**
 * Runs at most max(1, min(cores, UV_THREADPOOL_SIZE − 2)) jobs at once, with 16 waiting in each lane. bcrypt shares libuv's
 * thread pool with everything else, and an unlimited queue would answer nobody in time (OWASP ASVS 15.2.2).
 */
export function createHashingQueue(options: { threadPoolSize?: number; cores?: number } = {}): HashingQueue {
  const { threadPoolSize = 4, cores = availableParallelism() } = options;
  const atOnce = Math.max(1, Math.min(cores, threadPoolSize - 2));
  const waiting = new Map<HashingLane, (() => void)[]>();
  const done = { done: 0, waitedSeconds: 0, workedSeconds: 0 };
  let running = 0;

  const handOver = () => {
    for (const [lane, jobs] of waiting) {
      const begin = jobs.shift();
      if (!begin) continue;
      // A lane that was served goes to the end of the round.
      waiting.delete(lane);
      waiting.set(lane, jobs);
      begin();
      return;
    }
    running--;
  };

  const isFull = (lane: HashingLane) => running >= atOnce && (waiting.get(lane)?.length ?? 0) >= WAITING_PER_LANE;

  /** Runs a job whose turn it is, and then the next one. */
  const start = async <T>(job: () => Promise<T>, askedAt: number): Promise<T> => {
    const startedAt = performance.now();
    try {
      return await job();
    } finally {
      done.done++;
      done.waitedSeconds += (startedAt - askedAt) / 1000;
      done.workedSeconds += (performance.now() - startedAt) / 1000;
      handOver();
    }
  };

  return {
    isFull,
    figures: () => {
      const count = (lane: HashingLane) => waiting.get(lane)?.length ?? 0;
      const lengths = Object.fromEntries(hashingLanes.map((lane) => [lane, count(lane)]));
      return { ...done, running, waiting: lengths as Record<HashingLane, number> };
    },
    run: (lane, job) => {
      if (isFull(lane)) return null;
      const askedAt = performance.now();
      if (running < atOnce) {
        running++;
        return Promise.resolve().then(() => start(job, askedAt));
      }
      const jobs = waiting.get(lane) ?? [];
      waiting.set(lane, jobs);
      return new Promise<void>((begin) => jobs.push(begin)).then(() => start(job, askedAt));
    },
  };
}
