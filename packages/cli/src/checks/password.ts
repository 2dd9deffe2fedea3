// Which password counts, and how well it holds.
import { type Config, settings } from '@backchannel/server/config';
import { hashForms, passwordWarnings } from '@backchannel/server/password';
import { builtInPassword, findEffectivePassword, isEffective } from '../effective-password.ts';
import { advice, type Finding, ok } from './finding.ts';

/** Beyond this a check takes seconds: too long to try the built-in password here, and to sign in. */
const SLOW_COST = 15;
const LOWEST_COST = 10;

export async function checkPassword(config: Config): Promise<Finding[]> {
  const effective = await findEffectivePassword(config);
  if (effective.origin === 'database') {
    const mayBeBuiltIn = config.password.from === 'database' && config.password.builtInAllowed;
    return [(mayBeBuiltIn ? advice : ok)('password', effective.explanation)];
  }
  if (effective.origin === 'built-in') {
    return [advice('password', 'the built-in admin123 counts, which everybody knows: set MASTER_PASSWORD_HASH')];
  }
  const about = effective.origin;
  const findings = [ok('password', `${about} counts`)];
  if ('plain' in effective) {
    findings.push(...passwordWarnings(effective.plain).map((text) => advice(about, text)));
    findings.push(advice(about, 'is in plain text; `backchannel hash-master --env` prints a line to replace it with'));
  } else {
    findings.push(...checkHash(effective.hash, config.bcryptCost));
  }
  const isQuick = !('hash' in effective) || costOf(effective.hash) < SLOW_COST;
  if (isQuick && (await isEffective(await builtInPassword(), effective))) {
    findings.push(advice(about, 'is admin123, which everybody knows: choose one of your own'));
  }
  return findings;
}

function checkHash(hash: string, configuredCost: number): Finding[] {
  const about = 'MASTER_PASSWORD_HASH';
  const cost = costOf(hash);
  const example = settings.find(({ name }) => name === about)?.example;
  if (hashForms(hash).base64 === example) {
    const text =
      'is the example from the messages, of a password that nobody has: make one with `backchannel hash --env`';
    return [{ level: 'fault', about, text }];
  }
  if (cost < LOWEST_COST) {
    return [
      advice(about, `has cost ${cost}: a stolen one is too quick to guess against; make one of ${configuredCost}`),
    ];
  }
  if (cost >= SLOW_COST) return [advice(about, `has cost ${cost}: each sign-in takes seconds; 12 to 14 are enough`)];
  if (cost < configuredCost)
    return [advice(about, `has cost ${cost}, and BCRYPT_COST is ${configuredCost}: make it anew`)];
  return [];
}

/** The two digits after `$2b$`. */
const costOf = (hash: string): number => Number(hash.slice(4, 6));
