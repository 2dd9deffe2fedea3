// Which master password counts, as far as the configuration tells. The one kept in the database is not looked up here.
import { existsSync } from 'node:fs';
import type { Config } from '@backchannel/server/config';
import { verifyPassword } from '@backchannel/server/password';

export type EffectivePassword =
  | { origin: 'MASTER_PASSWORD_HASH'; hash: string }
  | { origin: 'MASTER_PASSWORD' | 'built-in'; plain: string }
  /** Not to be told from the configuration; `explanation` says which one counts, in a sentence or two. */
  | { origin: 'database'; explanation: string };

/** Finds the password that a server with this configuration would check against. */
export async function findEffectivePassword(config: Config): Promise<EffectivePassword> {
  const { password, database } = config;
  if (password.from === 'MASTER_PASSWORD_HASH') return { origin: password.from, hash: password.hash };
  if (password.from === 'MASTER_PASSWORD') return { origin: password.from, plain: password.plain };
  const unset = 'Neither MASTER_PASSWORD_HASH nor MASTER_PASSWORD is set';
  if (existsSync(database.file)) {
    const otherwise = password.builtInAllowed ? ', or where none is kept the built-in admin123' : '';
    return { origin: 'database', explanation: `${unset}: the password kept in ${database.file} counts${otherwise}.` };
  }
  if (password.builtInAllowed) return { origin: 'built-in', plain: await builtInPassword() };
  return { origin: 'database', explanation: `${unset}: the first start makes a password and shows it once.` };
}

/** Whether a password that bcrypt can hold is the one that counts. */
export async function isEffective(
  password: string,
  effective: Exclude<EffectivePassword, { origin: 'database' }>,
): Promise<boolean> {
  // Here is no one to time the comparison: who may run this may read the configuration too.
  return 'hash' in effective ? verifyPassword(password, effective.hash) : password === effective.plain;
}

/** The password that counts on a loopback address where no other is set. Loaded alone: it comes with the ORM. */
export async function builtInPassword(): Promise<string> {
  return (await import('@backchannel/server/password')).BUILT_IN_PASSWORD;
}
