// A real server on a free port with its own data folder, and a client that keeps cookies, for every test.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { inject, test } from 'vitest';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { errorStatuses } from '../../src/errors.ts';
import { listProcedures } from '../../src/http/operations.ts';
import { createLog, type Log } from '../../src/log.ts';
import { appRouter } from '../../src/router.ts';
import { openServer } from '../../src/server.ts';
import type { Services } from '../../src/services/services.ts';
import { openStore, type Store } from '../../src/store/database.ts';
import { type Databases, openDatabases } from './databases.ts';

export const PASSWORD = 'correct horse battery';

/** The engine of this run, which the project decides. */
export const engine = inject('postgres') ? 'postgresql' : 'sqlite';

/** For a test that is about the file itself, its modes and copies. */
export const testOnSqlite = test.skipIf(engine !== 'sqlite');

const databases: Databases = openDatabases(inject('postgres'));

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly config: Config;
  readonly services: Services;
  /** The address of its metrics; null if they are off. */
  readonly metricsUrl: string | null;
  /** How far the server's clock is ahead of the machine's, in milliseconds. */
  advance(ms: number): void;
  /** A caller with its own cookie jar. */
  client(): TestClient;
  /** Closes the server and opens it again on the same data folder. */
  restart(overrides?: Partial<Config>): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what it is, is what each test asserts
  body: any;
}

export interface TestClient {
  /** The Cookie header that it would send. */
  cookie: string;
  rest(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** One tRPC call; `body` is the input. Queries go by GET, mutations by POST. */
  trpc(type: 'query' | 'mutation', name: string, input?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** A page, asked for or, with fields, sent its form as a browser sends it from a page of this server. */
  page(path: string, fields?: Record<string, string>, headers?: Record<string, string>): Promise<Answer>;
  signIn(options?: { remember?: boolean }): Promise<Answer>;
}

/** Starts a server with a cheap bcrypt cost; `overrides` are configuration as the server sees it. */
export async function startServer(
  overrides: Partial<Config> = {},
  options: { log?: Log; dataDir?: string; limits?: Parameters<typeof openServer>[0]['limits'] } = {},
): Promise<TestServer> {
  const dataDir = options.dataDir ?? (await databases.makeDataDir());
  const log = options.log ?? createLog({ logLevel: 'silent', logFormat: 'json' });
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const database = await databases.open(dataDir);
  const configure = (more: Partial<Config>): Config => ({
    ...loadConfig({ env: { PORT: '0', DATA_DIR: dataDir, MASTER_PASSWORD: PASSWORD, ...database }, root: dataDir }),
    bcryptCost: 4,
    ...overrides,
    ...more,
  });
  const open = (from: Config) =>
    openServer({ config: from, log, clock, ...(options.limits ? { limits: options.limits } : {}) });
  let config = configure({});
  let server = await open(config);

  return {
    get url() {
      return server.url;
    },
    get config() {
      return config;
    },
    get services() {
      return server.services;
    },
    get metricsUrl() {
      return server.metricsUrl;
    },
    advance: (ms) => {
      ahead += ms;
    },
    client: () => createClient(() => server.url),
    restart: async (more = {}) => {
      await server[Symbol.asyncDispose]();
      config = configure(more);
      server = await open(config);
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      if (options.dataDir) return;
      await databases.drop(dataDir);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** A store on its own database, on the engine of this run. */
export async function openTestStore(): Promise<Store> {
  const dataDir = await databases.makeDataDir();
  const env = { DATA_DIR: dataDir, ...(await databases.open(dataDir)) };
  const store = await openStore(loadConfig({ env, root: dataDir }).database);
  const close = async () => {
    await store[Symbol.asyncDispose]();
    await databases.drop(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { ...store, [Symbol.asyncDispose]: close };
}

/** A separate PostgreSQL database, migrated unless it should be empty. */
export async function openTestDatabase({ isEmpty = false } = {}) {
  const name = `own ${randomUUID()}`;
  const env = await databases.open(name, { from: isEmpty ? 'nothing' : 'new copy' });
  const { database } = loadConfig({ env, root: tmpdir() });
  if (database.engine !== 'postgresql') throw new Error('these tests run on SQLite');
  const url = env.DATABASE_URL ?? '';
  return { url, address: database, config: { database }, env, [Symbol.asyncDispose]: () => databases.drop(name) };
}

/** The variables for processes that share one database of this run's engine and one data folder. */
export async function openSharedDatabase() {
  const dataDir = await databases.makeDataDir();
  const env: Record<string, string> = { DATA_DIR: dataDir, ...(await databases.open(dataDir)) };
  return {
    env,
    [Symbol.asyncDispose]: async () => {
      await databases.drop(dataDir);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The file of a server on SQLite, for tests that are about it. */
export function sqliteFile({ config: { database } }: { config: Config }): string {
  if (database.engine !== 'sqlite') throw new Error('this server has no file');
  return database.file;
}

function createClient(url: () => string): TestClient {
  const jar = new Map<string, string>();
  const send = async (path: string, init: RequestInit & { headers: Record<string, string> }): Promise<Answer> => {
    const cookie = client.cookie;
    const headers = { ...(cookie ? { cookie } : {}), ...init.headers };
    const response = await fetch(new URL(path, url()), { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.slice(0, line.indexOf(';')).split(/=(.*)/s);
      if (/max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') && text !== '';
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  };
  const json = (body: unknown) => (body === undefined ? null : JSON.stringify(body));
  const typed = (body: unknown): Record<string, string> =>
    body === undefined ? {} : { 'content-type': 'application/json' };

  const client: TestClient = {
    get cookie() {
      return [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    },
    set cookie(header: string) {
      jar.clear();
      for (const pair of header.split('; '))
        jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    },
    rest: (method, path, body, headers = {}) =>
      send(`/api/v1${path}`, { method, body: json(body), headers: { ...typed(body), ...headers } }),
    trpc: (type, name, input, headers = {}) => {
      if (type === 'mutation') {
        return send(`/trpc/${name}`, {
          method: 'POST',
          body: json(input),
          headers: { 'content-type': 'application/json', ...headers },
        });
      }
      const query = input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`;
      return send(`/trpc/${name}${query}`, { method: 'GET', headers });
    },
    page: (path, fields, headers = {}) =>
      send(path, {
        method: fields ? 'POST' : 'GET',
        body: fields ? new URLSearchParams(fields) : null,
        headers: { 'sec-fetch-site': 'same-origin', accept: 'text/html', ...headers },
      }),
    signIn: ({ remember } = {}) =>
      client.rest('POST', '/auth/login', { password: PASSWORD, ...(remember === undefined ? {} : { remember }) }),
  };
  return client;
}

/** Every operation of the API, with its REST and tRPC names. An id in a path names nothing. */
export const operations = listProcedures(appRouter).map(({ name, type, meta }) => ({
  name,
  type,
  access: meta.access,
  hasParameter: meta.openapi.path.includes('{'),
  method: meta.openapi.method,
  path: meta.openapi.path.replace(/\{\w+\}/g, 'a'.repeat(24)),
}));

export type Face = 'REST' | 'tRPC';

/** Where a face has an operation: the method it takes and the path on the server. */
export function targetOf(face: Face, operation: (typeof operations)[number]): { method: string; path: string } {
  if (face === 'REST') return { method: operation.method, path: `/api/v1${operation.path}` };
  return { method: operation.type === 'query' ? 'GET' : 'POST', path: `/trpc/${operation.name}` };
}

export interface RawAnswer {
  status: number;
  /** By lower-case name; several of one name in order of arrival. */
  headers: Record<string, string[]>;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what it is, is what each test asserts
  json: any;
}

/**
 * A request byte for byte, for what fetch would tidy up or hide. `headers` may repeat a name; Host and Content-Length are
 * added where they are not given, and a null leaves one out. Goes to this machine, whatever name the URL has.
 */
export function sendRaw(
  url: string,
  line: string,
  options: { headers?: Record<string, string | null> | [string, string][]; body?: string | Buffer } = {},
): Promise<RawAnswer> {
  const { host } = new URL(url);
  const given = Array.isArray(options.headers) ? options.headers : Object.entries(options.headers ?? {});
  const isGiven = (name: string) => given.some(([other]) => other.toLowerCase() === name);
  const { body } = options;
  const headers = [
    ...(isGiven('host') ? [] : [['Host', host]]),
    ...given.filter(([, value]) => value !== null),
    ...(body === undefined || isGiven('content-length') ? [] : [['Content-Length', String(Buffer.byteLength(body))]]),
    ...(isGiven('connection') ? [] : [['Connection', 'close']]),
  ];
  const head = `${[`${line} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)].join('\r\n')}\r\n\r\n`;
  return sendBytes(url, Buffer.concat([Buffer.from(head), Buffer.from(body ?? '')]));
}

/** Sends any bytes. Resolves when the server closes the connection. */
export function sendBytes(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error) => (chunks.length > 0 ? undefined : reject(error)));
    socket.on('close', () => resolve(parseAnswer(Buffer.concat(chunks).toString('utf8'))));
  });
}

function parseAnswer(answer: string): RawAnswer {
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const text = rest.join('\r\n\r\n');
  const [status = '', ...lines] = head.split('\r\n');
  const headers: Record<string, string[]> = {};
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
    headers[name.toLowerCase()] = [...(headers[name.toLowerCase()] ?? []), value];
  }
  return { status: Number(status.split(' ')[1]), headers, text, json: jsonIn(text) };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export interface ErrorAnswer {
  code: string;
  message: string;
  issues?: { path: string; message: string }[];
  retryAfterSeconds?: number;
}

/** What no error may contain: stacks, file names, texts of the database and of parsers. */
const internals =
  /\n\s+at |node:|node_modules|\.[jt]s\b|SQLITE|no such table|malformed|(Syntax|Type|Range|Zod|TRPC)Error|JSON at|Unexpected token/;

/**
 * The error in a body, of either face. Throws unless it is exactly the contract's shape for this status and says nothing
 * internal.
 */
export function readError(face: Face, status: number, body: unknown): ErrorAnswer {
  const told = JSON.stringify(body);
  const expectKeys = (value: unknown, keys: string[], optional: string[] = []): Record<string, unknown> => {
    if (typeof value !== 'object' || value === null) throw new Error(`no object: ${told}`);
    const found = Object.keys(value);
    const isExact =
      keys.every((key) => found.includes(key)) && found.every((key) => [...keys, ...optional].includes(key));
    if (!isExact) throw new Error(`${found.join(', ')} instead of ${keys.join(', ')}: ${told}`);
    return value as Record<string, unknown>;
  };
  const error = (() => {
    if (face === 'REST') return expectKeys(body, ['message', 'code'], ['issues']);
    const shape = expectKeys(expectKeys(body, ['error']).error, ['message', 'code', 'data']);
    if (typeof shape.code !== 'number') throw new Error(`no JSON-RPC code: ${told}`);
    const { httpStatus, ...data } = expectKeys(shape.data, ['code', 'httpStatus'], ['issues', 'retryAfterSeconds']);
    if (httpStatus !== status) throw new Error(`httpStatus is not ${status}: ${told}`);
    return { message: shape.message, ...data };
  })();
  const answer = error as unknown as ErrorAnswer;
  if (typeof answer.message !== 'string' || answer.message === '' || internals.test(told)) throw new Error(told);
  if (errorStatuses[answer.code as keyof typeof errorStatuses] !== status) throw new Error(`${status}: ${told}`);
  if (answer.issues && answer.issues.length === 0) throw new Error(`empty issues: ${told}`);
  for (const issue of answer.issues ?? []) {
    const { path, message } = expectKeys(issue, ['path', 'message']);
    if (typeof path !== 'string' || typeof message !== 'string') throw new Error(told);
  }
  return answer;
}
