// Every check of a configuration, in one order, for `check-config` and for the server's start. It knows no command line and
// changes nothing.
import { type Config, ConfigError, findRoot, loadConfig } from '../config/config.ts';
import { effectivePassword, type PasswordOrigin } from '../services/password/effective.ts';
import { checkAddresses } from './addresses.ts';
import { checkData } from './data.ts';
import { checkDatabase, unseenDatabase } from './database.ts';
import { checkDatabaseUrl } from './database-url.ts';
import { checkEnvFile } from './env-file.ts';
import { advice, type Finding, isFault } from './finding.ts';
import { checkMetrics } from './metrics.ts';
import { checkModes } from './modes.ts';
import { findForeignOwner } from './owner.ts';
import { checkEffectivePassword, checkPassword } from './password.ts';
import { checkProxies } from './proxies.ts';
import { checkSecretKey } from './secret-key.ts';

/**
 * All findings, even if the configuration can't be loaded. This is slow: it opens the database and compares the built-in
 * password with a hash (one bcrypt).
 */
export async function checkThoroughly(options: { env?: NodeJS.ProcessEnv; root?: string } = {}): Promise<Finding[]> {
  const { root = findRoot() } = options;
  try {
    const config = loadConfig({ ...options, root });
    return listFindings(config, { root, ...(await checkStorage(config)) });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [...checkEnvFile(null, root), ...error.problems.map(toFault)];
  }
}

/**
 * The findings of a running server, without bcrypt and without the database. `origin` is where its password comes from.
 * `config` has the port that the server listens on.
 */
export function checkRunning(config: Config, { root, origin }: { root: string; origin: PasswordOrigin }): Finding[] {
  // The start does not judge a stored password. `check-config` does.
  const isStored = origin === 'stored' || origin === 'generated';
  const effective = isStored ? null : effectivePassword(config.password, null);
  return listFindings(config, { root, password: checkPassword(config, effective), data: checkModes(config) });
}

function listFindings(config: Config, found: { root: string; password: Finding[]; data: Finding[] }): Finding[] {
  return [
    ...checkEnvFile(config, found.root),
    ...found.password,
    ...found.data,
    ...checkDatabaseUrl(config),
    ...checkAddresses(config),
    ...checkProxies(config),
    ...checkMetrics(config),
  ];
}

/** The findings that need the data folder and the database. */
async function checkStorage(config: Config): Promise<{ password: Finding[]; data: Finding[] }> {
  const folders = checkData(config);
  const foreign = findForeignOwner(config);
  // Nothing can be said about files in a folder that can't be used.
  const isUsable = !folders.some(isFault);
  const database = isUsable && !foreign ? await checkDatabase(config) : unseenDatabase;
  return {
    password: await checkEffectivePassword(config, database),
    data: [
      ...folders,
      // Not a fault: the server may have rights that this user lacks.
      ...(foreign ? [advice('DATA_DIR', foreign.text)] : []),
      ...database.findings,
      ...(isUsable ? [...checkSecretKey(config, database.signingKeys), ...checkModes(config)] : []),
    ],
  };
}

const toFault = ({ variable, problem, example }: ConfigError['problems'][number]): Finding => ({
  level: 'fault',
  about: variable,
  text: `${problem}. Example: ${example}`,
});
