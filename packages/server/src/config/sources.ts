/**
 * Where the text of a setting comes from: the environment, the `.env` file, or a file named by NAME_FILE. It knows which
 * settings there are and which are secret, but not what their values mean.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errorCode } from '../error-code.ts';
import { parseDotEnv } from './dot-env.ts';
import { withVariables } from './postgres-parameters.ts';
import { type ConfigProblem, quoted } from './problem.ts';
import { exampleLine, settingOf, table } from './settings.ts';

/** The texts of the settings, and the problems with reading others. */
export interface Sources {
  /** By the field of Config. Only what is set; never an empty string. */
  values: Record<string, string>;
  /** The text of any variable, set or file, that is not empty. */
  lookUp(name: string): string | undefined;
  /** True if a variable is there at all, even an empty one. */
  mentions(name: string): boolean;
  problems: readonly ConfigProblem[];
}

/**
 * Reads `root/.env` and the files that NAME_FILE variables name, relative to root. What is set in env wins over `.env`;
 * an empty string counts as not set, in either.
 */
export function readSources(env: NodeJS.ProcessEnv, root: string): Sources {
  const problems: ConfigProblem[] = [];
  const file = readDotEnv(root, env, problems);
  const lookUp = (name: string) => env[name] || file[name] || undefined;
  const mentions = (name: string) => env[name] !== undefined || file[name] !== undefined;

  const hashIsSet = (lookUp('MASTER_PASSWORD_HASH') ?? lookUp('MASTER_PASSWORD_HASH_FILE')) !== undefined;

  const values: Sources['values'] = {};
  for (const [field, { name, secret }] of Object.entries(table)) {
    // The plain password is ignored if there is a hash, and so is whatever is wrong with it.
    if (name === 'MASTER_PASSWORD' && hashIsSet) continue;
    const value = secret ? readSecret(name, lookUp, root, problems) : lookUp(name);
    if (value !== undefined) values[field] = value;
  }
  if (values.databaseUrl !== undefined) values.databaseUrl = withVariables(values.databaseUrl, env);
  return { values, lookUp, mentions, problems };
}

function readSecret(name: string, lookUp: Sources['lookUp'], root: string, problems: ConfigProblem[]) {
  const variable = `${name}_FILE`;
  const path = lookUp(variable);
  if (path === undefined) return lookUp(name);
  const refuse = (problem: string) => {
    problems.push({ variable, problem, example: `${variable}=/run/secrets/${name.toLowerCase()}` });
    return undefined;
  };
  if (lookUp(name) !== undefined) return refuse(`is set, and ${name} too: leave one of them out`);
  const file = resolve(root, path);
  const content = readText(file);
  if ('problem' in content) return refuse(`the file ${quoted(file)} ${content.problem}`);
  // Editors and echo add a line break at the end. No secret ends with one.
  const value = content.text.replace(/[\r\n]+$/, '');
  return value === '' ? refuse(`the file ${quoted(file)} is empty`) : value;
}

function readDotEnv(root: string, env: NodeJS.ProcessEnv, problems: ConfigProblem[]): NodeJS.Dict<string> {
  const path = join(root, '.env');
  const refuse = (problem: string) => {
    problems.push({ variable: '.env', problem: `${quoted(path)} ${problem}`, example: exampleLine('PORT') });
    return {};
  };
  const content = readText(path);
  if ('problem' in content) return content.code === 'ENOENT' ? {} : refuse(content.problem);
  if (content.text.includes('\0')) return refuse(notUtf8);

  const parsed = parseDotEnv(content.text);
  for (const { name, problem, quote, isMalformed } of parsed.problems) {
    const setting = name === null ? undefined : settingOf(name);
    // A wrong value doesn't matter where another program reads it, or where the environment wins over it.
    if (!isMalformed && (setting === undefined || env[setting.name])) continue;
    const example = setting ? `${name}=${quote}${setting.example}${quote}` : exampleLine('PORT');
    problems.push({ variable: setting && name !== null ? name : '.env', problem, example });
  }
  return parsed.values;
}

const notUtf8 = 'is not UTF-8 text; save it as that';

/** A text file without its byte order mark, or why it can't be read, to follow its name. */
function readText(path: string): { text: string } | { problem: string; code: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)) };
  } catch (error) {
    const code = errorCode(error) || 'unknown error';
    return { problem: readProblems[code] ?? `can't be read (${code})`, code };
  }
}

const readProblems: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EISDIR: 'is a folder, not a file',
  EACCES: 'may not be read by the user that runs this',
  EPERM: 'may not be read by the user that runs this',
  ERR_ENCODING_INVALID_ENCODED_DATA: notUtf8,
};
