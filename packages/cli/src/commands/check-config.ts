// `backchannel check-config`: the configuration as the server would read it, and what to do about it. It changes
// nothing. What is looked at is in ../checks, and in the server's own checks, whose advice it gives when it starts.
import { checkAddresses } from '@backchannel/server/checks/addresses';
import { checkDatabaseUrl } from '@backchannel/server/checks/database-url';
import { checkEnvFile } from '@backchannel/server/checks/env-file';
import { advice, type Finding } from '@backchannel/server/checks/finding';
import { checkMetrics } from '@backchannel/server/checks/metrics';
import { checkModes } from '@backchannel/server/checks/modes';
import { checkProxies } from '@backchannel/server/checks/proxies';
import { type Config, ConfigError, findRoot } from '@backchannel/server/config';
import { checkData } from '../checks/data.ts';
import { checkDatabase, unseenDatabase } from '../checks/database.ts';
import { checkEffectivePassword } from '../checks/password.ts';
import { checkSecretKey } from '../checks/secret-key.ts';
import { defineCommand } from '../command.ts';
import { loadConfigOf } from '../configuration.ts';
import type { CommandContext } from '../context.ts';
import { findForeignOwner } from '../owner.ts';

export const command = defineCommand({
  usage: 'check-config',
  about:
    'Reads the configuration as the server would, and says what to do about it. Each line is ok, advice or a fault; with\n' +
    'a fault the exit code is 1.',
  options: {},
  run: async (_, { context }) => {
    const findings = await check(context);
    const ok = !findings.some(isFault);
    const lines = findings.map(({ level, about, text }) => `${level.padEnd(7)} ${about}: ${text}`);
    return { text: lines.join('\n'), json: { ok, findings }, ok };
  },
});

async function check(context: CommandContext): Promise<Finding[]> {
  const root = context.root ?? findRoot();
  const config = load(context);
  if (Array.isArray(config)) return [...checkEnvFile(null, root), ...config];
  const data = checkData(config);
  const foreign = findForeignOwner(config);
  // What is in a folder that cannot be used is not to be told.
  const isUsable = !data.some(isFault);
  const database = isUsable && !foreign ? await checkDatabase(config) : unseenDatabase;
  return [
    ...checkEnvFile(config, root),
    ...(await checkEffectivePassword(config, database)),
    ...data,
    // No fault: the server may well be able to do what this user can't.
    ...(foreign ? [advice('DATA_DIR', foreign.text)] : []),
    ...database.findings,
    ...(isUsable ? [...checkSecretKey(config, database.signingKeys), ...checkModes(config)] : []),
    ...checkDatabaseUrl(config),
    ...checkAddresses(config),
    ...checkProxies(config),
    ...checkMetrics(config),
  ];
}

const isFault = ({ level }: Finding): boolean => level === 'fault';

function load(context: CommandContext): Config | Finding[] {
  try {
    return loadConfigOf(context);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ variable, problem, example }) => ({
      level: 'fault',
      about: variable,
      text: `${problem}. Example: ${example}`,
    }));
  }
}
