// Which master password counts here: by the configuration, or else the one that is kept in the database.
import type { Config } from '@backchannel/server/config';
import { BUILT_IN_PASSWORD, verifyPassword } from '@backchannel/server/password';

export type EffectivePassword =
  | { origin: 'MASTER_PASSWORD_HASH' | 'stored'; hash: string }
  | { origin: 'MASTER_PASSWORD' | 'built-in'; plain: string };

/** The password that a server would check against; null where its first start would make one. */
export function findEffectivePassword({ password }: Config, keptHash: string | null): EffectivePassword | null {
  if (password.from === 'MASTER_PASSWORD_HASH') return { origin: password.from, hash: password.hash };
  if (password.from === 'MASTER_PASSWORD') return { origin: password.from, plain: password.plain };
  if (keptHash !== null) return { origin: 'stored', hash: keptHash };
  return password.builtInAllowed ? { origin: 'built-in', plain: BUILT_IN_PASSWORD } : null;
}

/** Whether a password that bcrypt can hold is the one that counts. */
export async function isEffective(password: string, effective: EffectivePassword): Promise<boolean> {
  // Here is no one to time the comparison: who may run this may read the configuration too.
  return 'hash' in effective ? verifyPassword(password, effective.hash) : password === effective.plain;
}
