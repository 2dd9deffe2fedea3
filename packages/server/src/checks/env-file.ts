// Where `.env` is, who can read it, and names in it that are probably typos.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { parseDotEnv } from '../config/dot-env.ts';
import { knownNames, settings } from '../config/settings.ts';
import { errorCode } from '../error-code.ts';
import { advice, checkMode, type Finding, ok } from './finding.ts';
import { nearest } from './nearest.ts';

/** If config is null (it can't be loaded), only what the file alone shows. */
export function checkEnvFile(config: Config | null, root: string): Finding[] {
  const path = join(root, '.env');
  const names = readNames(path);
  if (names === 'missing') return [ok('.env', `${path} does not exist, and is not required`)];
  // Loading the configuration already reports why it can't be read.
  if (names === 'unreadable') return [];
  const holdsSecrets = config !== null && names.some((name) => secretNames.has(name));
  return [
    ok('.env', `${path} is read; variables of the environment take precedence`),
    ...names.flatMap(checkName),
    ...(holdsSecrets ? checkMode('.env', path, { most: 0o600 }) : []),
  ];
}

const secretNames: ReadonlySet<string> = new Set(settings.filter(({ secret }) => secret).map(({ name }) => name));

function readNames(path: string): string[] | 'missing' | 'unreadable' {
  try {
    return [...new Set(parseDotEnv(readFileSync(path, 'utf8')).names)];
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 'missing' : 'unreadable';
  }
}

/** Other programs' variables may be there too, so this reports only near misses. */
function checkName(name: string): Finding[] {
  const meant = knownNames.includes(name) ? null : nearest(name, knownNames);
  return meant ? [advice('.env', `${name} is not a setting, and nothing reads it. Did you mean ${meant}?`)] : [];
}
