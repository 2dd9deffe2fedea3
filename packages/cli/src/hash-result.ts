// The forms in which a hash is printed, and the options that choose among them: `hash` and `hash-master` share both.
import { hashForms } from '@backchannel/server/password';
import type { Result } from './command.ts';
import { badUsage } from './failure.ts';

export const hashOptions = {
  env: { type: 'boolean', about: 'print the whole line for .env, with its quotes' },
  base64: { type: 'boolean', about: 'print the form without $, which Docker Compose and shells leave alone' },
  cost: { type: 'string', value: 'N', about: 'bcrypt cost, 10 to 20; each step doubles the time of a sign-in' },
} as const;

interface HashValues {
  env?: boolean;
  base64?: boolean;
  cost?: string;
  json?: boolean;
}

/** The cost that was asked for, if any. @throws Failure with exit code 2 for what is no cost, or forms that exclude. */
export function readHashValues({ env, base64, cost, json }: HashValues): { cost?: number } {
  if (json && (env || base64)) throw badUsage('--json has every form already: leave --env and --base64 out');
  if (cost === undefined) return {};
  const value = /^\d{2}$/.test(cost) ? Number(cost) : 0;
  if (value < 10 || value > 20) throw badUsage('--cost takes a whole number from 10 to 20');
  return { cost: value };
}

/** The hash in the form that was asked for. */
export function hashResult(hash: string, values: HashValues, { advice }: { advice: readonly string[] }): Result {
  const forms = hashForms(hash);
  // In base64 there is nothing that would need quotes.
  const env = values.base64 ? `MASTER_PASSWORD_HASH=${forms.base64}` : forms.env;
  return { text: values.env ? env : values.base64 ? forms.base64 : forms.hash, json: forms, advice };
}
