// Which password counts, the one in the database included, and whether it is the one that everybody knows.
import { advice, type Finding, ok } from '@backchannel/server/checks/finding';
import { checkPassword, costOf, isBuiltIn, SLOW_COST } from '@backchannel/server/checks/password';
import { type Config, nameOfDatabase as nameOf } from '@backchannel/server/config';
import { effectivePassword, matchesEffective } from '@backchannel/server/effective-password';
import { BUILT_IN_PASSWORD } from '@backchannel/server/password';
import type { CheckedDatabase } from './database.ts';

export async function checkEffectivePassword(
  config: Config,
  { passwordHash }: Pick<CheckedDatabase, 'passwordHash'>,
): Promise<Finding[]> {
  const { password } = config;
  if (password.from === 'database' && passwordHash === undefined) {
    const otherwise = password.builtInAllowed ? ', or where none is kept the built-in admin123' : '';
    const text = `${neither}: the one kept in ${nameOf(config.database)} counts${otherwise}`;
    return [password.builtInAllowed ? advice('password', text) : ok('password', text)];
  }
  const effective = effectivePassword(config.password, passwordHash ?? null);
  if (!effective) return [ok('password', `${neither}: the first start makes a password and shows it once`)];
  const findings = checkPassword(config, effective);
  // A slow hash already has its finding; trying it would take too long.
  const isQuick = 'hash' in effective && costOf(effective.hash) < SLOW_COST;
  if (isQuick && (await matchesEffective(BUILT_IN_PASSWORD, effective))) {
    findings.push(isBuiltIn(effective.origin === 'stored' ? 'password' : effective.origin));
  }
  return findings;
}

const neither = 'neither MASTER_PASSWORD_HASH nor MASTER_PASSWORD is set';
