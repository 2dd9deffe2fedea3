// `backchannel check-config`: the configuration as the server would read it, and what to do about it. It changes
// nothing; what is looked at is in ../checks.
import { type Config, ConfigError, loadConfig } from '@backchannel/server/config';
import { checkAddresses } from '../checks/addresses.ts';
import { checkData } from '../checks/data.ts';
import { checkEnvFile } from '../checks/env-file.ts';
import type { Finding } from '../checks/finding.ts';
import { checkPassword } from '../checks/password.ts';
import { checkSecretKey } from '../checks/secret-key.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'check-config',
  about:
    'Reads the configuration as the server would, and says what to do about it. Each line is ok, advice or a fault; with\n' +
    'a fault the exit code is 1.',
  options: {},
  run: async () => {
    const findings = await check();
    const ok = !findings.some(isFault);
    const lines = findings.map(({ level, about, text }) => `${level.padEnd(7)} ${about}: ${text}`);
    return { text: lines.join('\n'), json: { ok, findings }, ok };
  },
});

async function check(): Promise<Finding[]> {
  const config = load();
  if (Array.isArray(config)) return [...checkEnvFile(null), ...config];
  const data = checkData(config);
  return [
    ...checkEnvFile(config),
    ...(await checkPassword(config)),
    ...data,
    // The key is in the data folder.
    ...(data.some(isFault) ? [] : checkSecretKey(config)),
    ...checkAddresses(config),
  ];
}

const isFault = ({ level }: Finding): boolean => level === 'fault';

function load(): Config | Finding[] {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ variable, problem, example }) => ({
      level: 'fault',
      about: variable,
      text: `${problem}. Example: ${example}`,
    }));
  }
}
