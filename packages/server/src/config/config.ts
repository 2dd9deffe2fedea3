/**
 * Loads the configuration. Only this file reads `process.env`, and it does so once. It creates nothing, and it knows nothing
 * about what the data folder and the database contain.
 */

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isLoopback, isLoopbackOrigin } from './address.ts';
import { Environment } from './environment.ts';
import { isInstalled } from './installation.ts';
import { withVariables } from './postgres-parameters.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { exampleLine, table, type Values } from './settings.ts';
import { readSources, type Sources } from './sources.ts';
import { type DatabaseAddress, DatabaseUrl } from './values.ts';

export { ConfigError } from './problem.ts';
export { settings } from './settings.ts';
export type { DatabaseAddress } from './values.ts';

/** Every setting, checked and with defaults filled in. `settings.ts` describes the fields that are not listed here. */
export interface Config extends Omit<Values, 'masterPassword' | 'masterPasswordHash' | 'databaseUrl'> {
  /** The address people use, as an origin without a slash at the end. */
  readonly publicUrl: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly password:
    | { from: 'MASTER_PASSWORD_HASH'; hash: string }
    | { from: 'MASTER_PASSWORD'; plain: string }
    | { from: 'database'; builtInAllowed: boolean };
  /** The full name, with `__Host-` before it if cookies are Secure. */
  readonly cookieName: string;
  /** True if publicUrl is https. */
  readonly secureCookies: boolean;
  /** Paths in it are absolute. */
  readonly database: DatabaseAddress;
  readonly logFormat: 'pretty' | 'json';
  /** Threads of libuv's pool, which bcrypt shares with everything else. Node's own UV_THREADPOOL_SIZE. */
  readonly threadPoolSize: number;
}

/** Replacements for the process's own environment, for tests and for the CLI. */
export interface LoadConfigOptions {
  env?: NodeJS.ProcessEnv;
  /** The folder of `.env`. Relative paths start there. */
  root?: string;
  /** Whether a person reads the log as it is written. */
  isTerminal?: boolean;
}

/**
 * Reads the environment and `root/.env`, and creates nothing.
 *
 * An environment variable wins over the file. An empty one counts as not set, because Docker Compose passes `${NAME:-}` as
 * an empty string. There is one exception: if MASTER_PASSWORD, MASTER_PASSWORD_HASH or their _FILE variable is there but
 * empty, somebody meant to set a password (or a shell expanded the hash away), so the built-in password is not allowed.
 *
 * With PORT=0 and no PUBLIC_URL, publicUrl has port 0. The caller knows the real port after listening.
 * @throws ConfigError with every problem at once. Its message is ready to print and contains no secret.
 */
export function loadConfig(options: LoadConfigOptions = {}): Config {
  const root = resolve(options.root ?? findRoot());
  const sources = readSources(options.env ?? process.env, root);
  const parsed = Environment.safeParse(sources.values);
  const problems = [...sources.problems, ...(parsed.error?.issues ?? []).map(toProblem)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);

  const { masterPassword, masterPasswordHash, databaseUrl, ...values } = parsed.data;
  const { host, port, cookieName } = values;
  const dataDir = resolve(root, values.dataDir);
  const publicUrl = values.publicUrl ?? new URL(`http://localhost:${port}`).origin;
  const secureCookies = publicUrl.startsWith('https:');
  const isTerminal = options.isTerminal ?? process.stdout.isTTY === true;
  return {
    ...values,
    publicUrl,
    dataDir,
    password: choosePassword({ masterPassword, masterPasswordHash }, builtInAllowed(host, publicUrl, sources)),
    cookieName: secureCookies ? `__Host-${cookieName}` : cookieName,
    secureCookies,
    database: resolveDatabase(databaseUrl ?? { engine: 'sqlite', file: join(dataDir, 'backchannel.db') }, root),
    logFormat: values.logFormat ?? (isTerminal ? 'pretty' : 'json'),
    threadPoolSize: Number((options.env ?? process.env).UV_THREADPOOL_SIZE) || 4,
  };
}

/** The checkout's root (the folder above with pnpm-workspace.yaml), or the working folder if installed from npm. */
export function findRoot(): string {
  // A workspace that this package is installed in has a file of that name too, but it isn't ours.
  if (isInstalled) return process.cwd();
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return folder;
  }
  return process.cwd();
}

/** Whether npx started the package manager that started this process. This is not a setting, but a trace npx leaves. */
export const isStartedByNpx = (env: NodeJS.ProcessEnv = process.env): boolean =>
  /[\\/]_npx[\\/]/.test(env.npm_execpath ?? '');

/** Whether this process is what `npx -y backchannel-server` runs, and not a program that only inherits npx's environment. */
export const isRunByNpx = (env: NodeJS.ProcessEnv = process.env): boolean =>
  isInstalled && env.npm_lifecycle_event === 'npx' && /^\W*backchannel-server\b/.test(env.npm_lifecycle_script ?? '');

/** Parses a DATABASE_URL from elsewhere, or says what is wrong with it. Relative paths in it start from `root`. */
export function parseDatabaseUrl(
  url: string,
  { root = findRoot(), env = process.env }: Pick<LoadConfigOptions, 'root' | 'env'> = {},
): DatabaseAddress | { problem: string } {
  const { success, data, error } = DatabaseUrl.safeParse(withVariables(url, env));
  return success ? resolveDatabase(data, root) : { problem: error.issues[0]?.message ?? 'is none' };
}

/** The database for messages: the file, or the URL without its password. */
export const nameOfDatabase = (database: DatabaseAddress): string =>
  database.engine === 'sqlite' ? database.file : database.shown;

function resolveDatabase(database: DatabaseAddress, root: string): DatabaseAddress {
  if (database.engine === 'sqlite') return { ...database, file: resolve(root, database.file) };
  const tlsFiles = Object.entries(database.tlsFiles).map(([name, path]) => [name, resolve(root, path)]);
  return { ...database, tlsFiles: Object.fromEntries(tlsFiles) };
}

function choosePassword(
  { masterPassword, masterPasswordHash }: Pick<Values, 'masterPassword' | 'masterPasswordHash'>,
  builtInAllowed: boolean,
): Config['password'] {
  if (masterPasswordHash !== null) return { from: 'MASTER_PASSWORD_HASH', hash: masterPasswordHash };
  if (masterPassword !== null) return { from: 'MASTER_PASSWORD', plain: masterPassword };
  return { from: 'database', builtInAllowed };
}

/** Everybody knows the built-in `admin123`, so it is allowed only if nothing but this machine can connect. */
function builtInAllowed(host: string, publicUrl: string, sources: Sources): boolean {
  const meantToBeSet = ['MASTER_PASSWORD', 'MASTER_PASSWORD_HASH'].some(
    (name) => sources.mentions(name) || sources.mentions(`${name}_FILE`),
  );
  const production = sources.lookUp('NODE_ENV')?.trim().toLowerCase() === 'production';
  return !meantToBeSet && !production && isLoopback(host) && isLoopbackOrigin(publicUrl);
}

function toProblem(issue: { path: PropertyKey[]; message: string }): ConfigProblem {
  const variable = nameOf(issue.path[0]);
  return { variable, problem: issue.message, example: exampleLine(variable) };
}

/** The variable of a field. */
const nameOf = (field: PropertyKey | undefined): string =>
  Object.entries(table).find(([each]) => each === field)?.[1].name ?? String(field);
