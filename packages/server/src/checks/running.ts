// What a server says of itself when it starts: the same that `backchannel check-config` looks at, as far as it is quick.
import type { Config } from '../config/config.ts';
import { type EffectivePassword, effectivePassword, type PasswordOrigin } from '../services/password/effective.ts';
import { checkAddresses } from './addresses.ts';
import { checkDatabaseUrl } from './database-url.ts';
import { checkEnvFile } from './env-file.ts';
import type { Finding } from './finding.ts';
import { checkMetrics } from './metrics.ts';
import { checkModes } from './modes.ts';
import { checkPassword } from './password.ts';
import { checkProxies } from './proxies.ts';

/** The findings that are worth a warning. `config` has the port that is listened on. */
export function checkRunning(config: Config, origin: PasswordOrigin): Finding[] {
  const findings = [
    ...checkPassword(config, effectiveAtStart(config, origin)),
    ...checkEnvFile(config),
    ...checkModes(config),
    ...checkDatabaseUrl(config),
    ...checkAddresses(config),
    ...checkProxies(config),
    ...checkMetrics(config),
  ];
  return findings.filter(({ level }) => level !== 'ok');
}

/** Null if it is kept in the database: a start does not judge that one, `check-config` does. */
function effectiveAtStart({ password }: Config, origin: PasswordOrigin): EffectivePassword | null {
  return origin === 'stored' || origin === 'generated' ? null : effectivePassword(password, null);
}
