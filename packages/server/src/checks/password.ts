// Which password is in effect, and how strong it is.
import { isLoopback, isLoopbackOrigin } from '../config/address.ts';
import { type Config, nameOfDatabase } from '../config/config.ts';
import { commandLine } from '../config/installation.ts';
import { settingOf } from '../config/settings.ts';
import { type EffectivePassword, effectivePassword, matchesEffective } from '../services/password/effective.ts';
import { hashForms } from '../services/password/hashing.ts';
import { BUILT_IN_PASSWORD, newPasswordProblem, passwordWarnings } from '../services/password/rules.ts';
import type { CheckedDatabase } from './database.ts';
import { advice, type Finding, ok } from './finding.ts';

/** From this cost on, checking a password takes seconds. */
const SLOW_COST = 15;
const LOWEST_COST = 10;

type CheckedConfig = Pick<Config, 'bcryptCost' | 'host' | 'publicUrl'>;

/** The two digits after `$2b$`. */
const costOf = (hash: string): number => Number(hash.slice(4, 6));

/**
 * The findings without bcrypt, because a start waits for them. `effective` is null for a stored password that was not
 * read.
 */
export function checkPassword(config: CheckedConfig, effective: EffectivePassword | null): Finding[] {
  const kept = ok('password', 'the one stored in the database is in effect');
  if (effective === null) return [kept];
  switch (effective.origin) {
    case 'built-in':
      return [
        advice(
          'password',
          `the built-in ${BUILT_IN_PASSWORD} is in effect, which everyone knows: set your own with MASTER_PASSWORD_HASH ` +
            `(create one: ${commandLine} hash)`,
        ),
      ];
    case 'MASTER_PASSWORD':
      return [ok('password', `${effective.origin} is in effect`), ...checkPlain(effective.plain, config)];
    case 'MASTER_PASSWORD_HASH':
      return [
        ok('password', `${effective.origin} is in effect`),
        ...checkExample(effective.hash),
        ...checkCost(effective.hash, config),
      ];
    default:
      return [kept, ...checkCost(effective.hash, config, { about: 'password' })];
  }
}

/** The same with the stored password, and with one bcrypt to recognize a hash of the built-in password. */
export async function checkEffectivePassword(
  config: Config,
  { passwordHash }: Pick<CheckedDatabase, 'passwordHash'>,
): Promise<Finding[]> {
  const { password } = config;
  if (password.from === 'database' && passwordHash === undefined) {
    const otherwise = password.builtInAllowed ? ', or if none is stored the built-in admin123' : '';
    const text = `${neither}: the one stored in ${nameOfDatabase(config.database)} is in effect${otherwise}`;
    return [password.builtInAllowed ? advice('password', text) : ok('password', text)];
  }
  const effective = effectivePassword(password, passwordHash ?? null);
  if (!effective) return [ok('password', `${neither}: the first start generates a password and shows it once`)];
  const findings = checkPassword(config, effective);
  // A slow hash already has its finding, and trying it would take too long.
  const isQuick = 'hash' in effective && costOf(effective.hash) < SLOW_COST;
  if (isQuick && (await matchesEffective(BUILT_IN_PASSWORD, effective))) {
    const about = effective.origin === 'stored' ? 'password' : effective.origin;
    findings.push(weak(about, `is ${BUILT_IN_PASSWORD}, which everyone knows: choose your own`, config));
  }
  return findings;
}

const neither = 'neither MASTER_PASSWORD_HASH nor MASTER_PASSWORD is set';

/** A password that could not be set as a new one. It is a fault if others can try it. */
function weak(about: string, text: string, { host, publicUrl }: CheckedConfig): Finding {
  const isForThisMachineOnly = isLoopback(host) && isLoopbackOrigin(publicUrl);
  return { level: isForThisMachineOnly ? 'advice' : 'fault', about, text };
}

function checkPlain(plain: string, config: CheckedConfig): Finding[] {
  const about = 'MASTER_PASSWORD';
  const problem = newPasswordProblem(plain);
  return [
    ...(problem ? [weak(about, problem, config)] : passwordWarnings(plain).map((text) => advice(about, text))),
    advice(about, `is in plain text; \`${commandLine} hash-master --env\` prints a line to replace it with`),
  ];
}

function checkExample(hash: string): Finding[] {
  const about = 'MASTER_PASSWORD_HASH';
  const example = settingOf(about)?.example;
  if (hashForms(hash).base64 !== example) return [];
  const text = `is the example from the messages, whose password nobody knows: create one with \`${commandLine} hash --env\``;
  return [{ level: 'fault', about, text }];
}

function checkCost(
  hash: string,
  { bcryptCost }: Pick<Config, 'bcryptCost'>,
  { about = 'MASTER_PASSWORD_HASH' }: { about?: string } = {},
): Finding[] {
  const cost = costOf(hash);
  if (cost < LOWEST_COST) {
    return [advice(about, `has cost ${cost}: a stolen hash is too quick to guess; create one with cost ${bcryptCost}`)];
  }
  if (cost >= SLOW_COST) return [advice(about, `has cost ${cost}: each sign-in takes seconds; 12 to 14 are enough`)];
  if (cost < bcryptCost)
    return [advice(about, `has cost ${cost}, and BCRYPT_COST is ${bcryptCost}: hash the password again`)];
  return [];
}
