// The time of one bcrypt, with nothing beside it: the same library, the same cost as a sign-in, one after the other.
import { hash, verify } from '@node-rs/bcrypt';
import { serveJobs } from './worker.ts';

export interface BcryptJob {
  password: string;
  cost: number;
  times: number;
}

serveJobs(async ({ password, cost, times }: BcryptJob): Promise<{ eachMs: number[] }> => {
  const hashed = await hash(password, { cost });
  const eachMs: number[] = [];
  for (let index = 0; index < times; index++) {
    const startedAt = performance.now();
    if (!(await verify(password, hashed))) throw new Error('bcrypt does not know its own hash.');
    eachMs.push(performance.now() - startedAt);
  }
  return { eachMs };
});
