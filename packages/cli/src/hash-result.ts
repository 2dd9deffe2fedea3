// The output formats of a hash and the options that select them. `hash` and `hash-master` share both.
import { hashForms } from '@backchannel/server/password';
import type { Result } from './command.ts';
import { badUsage } from './failure.ts';

export const hashOptions = {
  env: { type: 'boolean', about: 'print the complete line for .env, with quotes' },
  base64: { type: 'boolean', about: 'print the hash in base64, without the $ that shells and Docker Compose expand' },
  cost: { type: 'string', value: 'N', about: 'bcrypt cost, 10 to 20; each step doubles how long a sign-in takes' },
} as const;

interface HashValues {
  env?: boolean;
  base64?: boolean;
  cost?: string;
  json?: boolean;
}

/** The requested cost, if any. @throws Failure with exit code 2 for an invalid cost, or for formats that conflict. */
export function readHashValues({ env, base64, cost, json }: HashValues): { cost?: number } {
  if (json && (env || base64)) throw badUsage('--json already prints every format. Leave out --env and --base64');
  if (cost === undefined) return {};
  const value = /^\d{2}$/.test(cost) ? Number(cost) : 0;
  if (value < 10 || value > 20) throw badUsage('--cost must be a whole number from 10 to 20');
  return { cost: value };
}

/** The hash in the requested format. */
export function hashResult(hash: string, values: HashValues, { advice }: { advice: readonly string[] }): Result {
  const forms = hashForms(hash);
  // Base64 has no characters that need quotes.
  const env = values.base64 ? `MASTER_PASSWORD_HASH=${forms.base64}` : forms.env;
  return { text: values.env ? env : values.base64 ? forms.base64 : forms.hash, json: forms, advice };
}
