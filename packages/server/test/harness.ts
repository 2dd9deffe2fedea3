// A real server on a free port with a data folder of its own, and a client that keeps cookies, for every test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../src/config.ts';
import { createLog, type Log } from '../src/log.ts';
import { openServer } from '../src/server.ts';
import type { Services } from '../src/services/services.ts';

export const PASSWORD = 'correct horse battery';

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly config: Config;
  readonly services: Services;
  /** Milliseconds by which the server's clock is ahead of the machine's. */
  advance(ms: number): void;
  /** A caller with a cookie jar of its own. */
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
  signIn(options?: { remember?: boolean }): Promise<Answer>;
}

/** Starts a server with a cheap bcrypt cost; `overrides` are configuration as the server sees it. */
export async function startServer(
  overrides: Partial<Config> = {},
  options: { log?: Log; dataDir?: string } = {},
): Promise<TestServer> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'backchannel-test-'));
  const log = options.log ?? createLog({ logLevel: 'silent', logFormat: 'json' });
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const configure = (more: Partial<Config>): Config => ({
    ...loadConfig({ env: { PORT: '0', DATA_DIR: dataDir, MASTER_PASSWORD: PASSWORD }, root: dataDir }),
    bcryptCost: 4,
    ...overrides,
    ...more,
  });
  let config = configure({});
  let server = await openServer({ config, log, clock });

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
    advance: (ms) => {
      ahead += ms;
    },
    client: () => createClient(() => server.url),
    restart: async (more = {}) => {
      await server[Symbol.asyncDispose]();
      config = configure(more);
      server = await openServer({ config, log, clock });
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      if (!options.dataDir) rmSync(dataDir, { recursive: true, force: true });
    },
  };
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
    signIn: ({ remember } = {}) =>
      client.rest('POST', '/auth/login', { password: PASSWORD, ...(remember === undefined ? {} : { remember }) }),
  };
  return client;
}
