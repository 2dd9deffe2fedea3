/**
 * The configuration: the only place that reads `process.env`, once. It creates and opens nothing; what the data folder
 * and the database hold is for others to find out.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { isLoopback, isLoopbackOrigin } from './address.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { Environment, exampleLine } from './settings.ts';
import { readSources, type Sources } from './sources.ts';
import { type DatabaseAddress, DatabaseUrl } from './values.ts';

export { ConfigError, type ConfigProblem } from './problem.ts';
export { settings } from './settings.ts';
export type { DatabaseAddress } from './values.ts';

/** Everything that can be set, checked and with defaults filled in. */
export interface Config {
  /** Where to listen, as given: an IP address or a host name. */
  host: string;
  /** 0 to 65535; 0 is any free port, for tests. */
  port: number;
  /** The address people use, as an origin: no slash at the end. */
  publicUrl: string;
  /** Absolute. */
  dataDir: string;
  /** The ring: the first signs, all verify. Null when the key kept in `dataDir/secret.key` counts. */
  secretKeys: readonly string[] | null;
  password:
    | { from: 'MASTER_PASSWORD_HASH'; hash: string }
    | { from: 'MASTER_PASSWORD'; plain: string }
    | { from: 'database'; builtInAllowed: boolean };
  sessionExpireMinutes: number;
  sessionMaxDays: number;
  /** How many sessions may be live at once. */
  sessionMaxLive: number;
  /** How fresh a sign-in must be for what is marked fresh. */
  stepUpMinutes: number;
  /** The full name, with `__Host-` before it when cookies are Secure. */
  cookieName: string;
  /** True when publicUrl is https. */
  secureCookies: boolean;
  /** The domain whose subdomains take the pass cookie, without a dot before it; null for none. */
  cookieDomain: string | null;
  /** Origins other than publicUrl's, spelt as browsers send them. */
  allowedOrigins: readonly string[];
  /** Addresses, networks (CIDR) and the word `private`: whose X-Forwarded-* headers are believed. */
  trustedProxies: readonly string[];
  /** Paths in it are absolute. */
  database: DatabaseAddress;
  /** For new hashes, 10 to 20. */
  bcryptCost: number;
  /** Failures before a source has to wait. */
  loginMaxFailures: number;
  /** The longest that a source waits, and how long its failures are remembered. */
  loginWindowMinutes: number;
  eventRetentionDays: number;
  /** Who upstream applications are told it is, at forward-auth. */
  operatorName: string;
  operatorEmail: string | null;
  docs: 'public' | 'login' | 'off';
  /** Where metrics are; null where they are off. 0 is any free port, for tests. */
  metricsPort: number | null;
  metricsHost: string;
  /** One of pino's levels, or `silent`. */
  logLevel: string;
  logFormat: 'pretty' | 'json';
  /** Threads of libuv's pool, which bcrypt shares with all else; Node's own UV_THREADPOOL_SIZE. */
  threadPoolSize: number;
}

/** What to read instead of the process's own surroundings; for tests and for the CLI. */
export interface LoadConfigOptions {
  env?: NodeJS.ProcessEnv;
  /** The folder of `.env`, which relative paths start from. */
  root?: string;
  /** Whether a person reads the log as it is written. */
  isTerminal?: boolean;
}

/**
 * Reads the environment and `root/.env`, and creates nothing.
 *
 * A variable that is set wins over the file. An empty one counts as not set, so that the file's value or the default
 * holds, as Docker Compose passes `${NAME:-}` when it has nothing to pass. One thing is kept of it: where
 * MASTER_PASSWORD, MASTER_PASSWORD_HASH or their _FILE variable is there but empty, somebody meant to set a password
 * (or a shell ate the whole hash), and the built-in password is not allowed.
 *
 * With PORT=0 and no PUBLIC_URL, publicUrl has port 0: the caller knows the real one after listening.
 * @throws ConfigError with every problem at once; its message is fit to be shown, and holds no secret.
 */
export function loadConfig(options: LoadConfigOptions = {}): Config {
  const root = resolve(options.root ?? findRoot());
  const sources = readSources(options.env ?? process.env, root);
  const parsed = Environment.safeParse(sources.values);
  const problems = [...sources.problems, ...(parsed.error?.issues ?? []).map(toProblem)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);

  const env = parsed.data;
  const dataDir = resolve(root, env.DATA_DIR);
  const publicUrl = env.PUBLIC_URL ?? new URL(`http://localhost:${env.PORT}`).origin;
  const secureCookies = publicUrl.startsWith('https:');
  const isTerminal = options.isTerminal ?? process.stdout.isTTY === true;
  return {
    host: env.HOST,
    port: env.PORT,
    publicUrl,
    dataDir,
    secretKeys: env.SECRET_KEY ?? null,
    password: choosePassword(env, builtInAllowed(env.HOST, publicUrl, sources)),
    sessionExpireMinutes: env.SESSION_EXPIRE_MINUTES,
    sessionMaxDays: env.SESSION_MAX_DAYS,
    sessionMaxLive: env.SESSION_MAX_LIVE,
    stepUpMinutes: env.STEP_UP_MINUTES,
    cookieName: secureCookies ? `__Host-${env.COOKIE_NAME}` : env.COOKIE_NAME,
    secureCookies,
    cookieDomain: env.COOKIE_DOMAIN ?? null,
    allowedOrigins: env.ALLOWED_ORIGINS ?? [],
    trustedProxies: env.TRUSTED_PROXIES ?? [],
    database: resolveDatabase(env.DATABASE_URL ?? { engine: 'sqlite', file: join(dataDir, 'backchannel.db') }, root),
    bcryptCost: env.BCRYPT_COST,
    loginMaxFailures: env.LOGIN_MAX_FAILURES,
    loginWindowMinutes: env.LOGIN_WINDOW_MINUTES,
    eventRetentionDays: env.EVENT_RETENTION_DAYS,
    operatorName: env.OPERATOR_NAME,
    operatorEmail: env.OPERATOR_EMAIL ?? null,
    docs: env.DOCS,
    metricsPort: env.METRICS_PORT ?? null,
    metricsHost: env.METRICS_HOST,
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT ?? (isTerminal ? 'pretty' : 'json'),
    threadPoolSize: Number((options.env ?? process.env).UV_THREADPOOL_SIZE) || 4,
  };
}

/** Whether this code was installed from npm; else it runs from a checkout. */
export const isInstalled = import.meta.dirname.split(sep).includes('node_modules');

/** The checkout's root, the folder with pnpm-workspace.yaml above this file; installed from npm: the working folder. */
export function findRoot(): string {
  // Installed below somebody else's workspace, that one's file is not ours to read.
  if (isInstalled) return process.cwd();
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return folder;
  }
  return process.cwd();
}

/** Whether npx started the package manager that started this process; no setting, but a trace that npx leaves. */
export const isStartedByNpx = (env: NodeJS.ProcessEnv = process.env): boolean =>
  /[\\/]_npx[\\/]/.test(env.npm_execpath ?? '');

type Parsed = ReturnType<typeof Environment.parse>;

/** A DATABASE_URL that is given by hand, or what is wrong with it. Relative paths in it start from `root`. */
export function parseDatabaseUrl(url: string, root = findRoot()): DatabaseAddress | { problem: string } {
  const { success, data, error } = DatabaseUrl.safeParse(url);
  return success ? resolveDatabase(data, root) : { problem: error.issues[0]?.message ?? 'is none' };
}

/** The database as it may be shown: the file, or the URL without its password. */
export const nameOfDatabase = (database: DatabaseAddress): string =>
  database.engine === 'sqlite' ? database.file : database.shown;

function resolveDatabase(database: DatabaseAddress, root: string): DatabaseAddress {
  if (database.engine === 'sqlite') return { ...database, file: resolve(root, database.file) };
  const tlsFiles = Object.entries(database.tlsFiles).map(([name, path]) => [name, resolve(root, path)]);
  return { ...database, tlsFiles: Object.fromEntries(tlsFiles) };
}

function choosePassword(env: Parsed, builtIn: boolean): Config['password'] {
  if (env.MASTER_PASSWORD_HASH !== undefined) return { from: 'MASTER_PASSWORD_HASH', hash: env.MASTER_PASSWORD_HASH };
  if (env.MASTER_PASSWORD !== undefined) return { from: 'MASTER_PASSWORD', plain: env.MASTER_PASSWORD };
  return { from: 'database', builtInAllowed: builtIn };
}

/** The seed's `admin123` is known to everybody, so it may count only where nobody but this machine gets to it. */
function builtInAllowed(host: string, publicUrl: string, sources: Sources): boolean {
  const meantToBeSet = ['MASTER_PASSWORD', 'MASTER_PASSWORD_HASH'].some(
    (name) => sources.mentions(name) || sources.mentions(`${name}_FILE`),
  );
  const production = sources.lookUp('NODE_ENV')?.trim().toLowerCase() === 'production';
  return !meantToBeSet && !production && isLoopback(host) && isLoopbackOrigin(publicUrl);
}

function toProblem(issue: { path: PropertyKey[]; message: string }): ConfigProblem {
  const variable = String(issue.path[0]);
  return { variable, problem: issue.message, example: exampleLine(variable) };
}
