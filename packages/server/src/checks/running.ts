// What a server says of itself when it starts: the same that `backchannel check-config` looks at, as far as it is quick.
import type { Config } from '../config/config.ts';
import type { PasswordOrigin } from '../services/password/origin.ts';
import { checkAddresses } from './addresses.ts';
import { checkDatabaseUrl } from './database-url.ts';
import { checkEnvFile } from './env-file.ts';
import type { Finding } from './finding.ts';
import { checkMetrics } from './metrics.ts';
import { checkModes } from './modes.ts';
import { type CountingPassword, checkPassword } from './password.ts';
import { checkProxies } from './proxies.ts';

/** The findings that are worth a warning. `config` has the port that is listened on. */
export function checkRunning(config: Config, origin: PasswordOrigin): Finding[] {
  const findings = [
    ...checkPassword(config, countingPassword(config, origin)),
    ...checkEnvFile(config),
    ...checkModes(config),
    ...checkDatabaseUrl(config),
    ...checkAddresses(config),
    ...checkProxies(config),
    ...checkMetrics(config),
  ];
  return findings.filter(({ level }) => level !== 'ok');
}

function countingPassword({ password }: Config, origin: PasswordOrigin): CountingPassword {
  if (password.from === 'MASTER_PASSWORD_HASH') return { origin: password.from, hash: password.hash };
  if (password.from === 'MASTER_PASSWORD') return { origin: password.from, plain: password.plain };
  return origin === 'built-in' ? { origin } : { origin: 'stored', hash: null };
}
