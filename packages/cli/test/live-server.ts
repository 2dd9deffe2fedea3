// A real server on the data of a home, and requests to it, for tests of commands beside a server.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { loadConfig } from '@backchannel/server/config';
import { createLog } from '@backchannel/server/log';
import { openServer } from '../../server/src/server.ts';
import { cookieOf } from '../../server/test/support/cookies.ts';
import { follow } from '../../server/test/support/server-process.ts';
import { type Checkout, environment, type Home } from './run.ts';

/** The `.env` of a home whose server and commands share the data. Any free port, cheap hashes. */
export const serverEnv = 'PORT=0\nBCRYPT_COST=10\nLOG_FORMAT=json\nDOCS=off\n';

interface Answer {
  status: number;
  /** The Cookie header that a browser would send after this response. */
  cookie: string;
  // biome-ignore lint/suspicious/noExplicitAny: each test asserts the shape
  body: any;
}

export interface LiveServer extends AsyncDisposable {
  /** The address, without a slash at the end. */
  url: string;
  call(method: string, path: string, options?: { body?: unknown; headers?: Record<string, string> }): Promise<Answer>;
  /** Opens a session. Returns its id and its request headers. Throws if the password is wrong. */
  signIn(password?: string): Promise<{ id: string; headers: Record<string, string> }>;
  /** Tries a password from an unknown browser. Returns the status. */
  tryPassword(password: string): Promise<number>;
  /** Sends a request with these headers. */
  statusFor(headers: Record<string, string>): Promise<number>;
  /** Stops the server gracefully. */
  stop(): Promise<void>;
}

export interface ServerProcess extends LiveServer {
  /** Everything that the server has printed and logged. */
  output(): string;
}

/** Starts a server in this process, with hashes that are cheaper than the configuration allows. `env` is its environment. */
export async function startServer(
  { root }: Pick<Home, 'root'>,
  options: { env?: Record<string, string> } = {},
): Promise<LiveServer> {
  const config = { ...loadConfig({ env: options.env ?? {}, root }), bcryptCost: 4 };
  const log = createLog({ logLevel: 'silent', logFormat: 'json' });
  const server = await openServer({ config, log });
  const stop = () => server[Symbol.asyncDispose]();
  return { url: server.url, ...requestsTo(server.url), stop, [Symbol.asyncDispose]: stop };
}

/** Starts a server process, which is killed unless it is stopped. `env` is its environment without PATH. */
export async function spawnServer(
  { root }: Pick<Checkout, 'root'>,
  options: { env?: Record<string, string> } = {},
): Promise<ServerProcess> {
  const main = join(root, 'packages/server/src/main.ts');
  const server = follow(spawn(process.execPath, [main], { cwd: root, env: { ...environment, ...options.env } }));
  const url = await server.url();
  return {
    url,
    output: () => server.stdout() + server.stderr(),
    ...requestsTo(url),
    stop: async () => {
      await server.end('SIGTERM');
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function requestsTo(url: string): Pick<LiveServer, 'call' | 'signIn' | 'tryPassword' | 'statusFor'> {
  const call: LiveServer['call'] = async (method, path, { body, headers = {} } = {}) => {
    const typed: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const init = { method, headers: { ...headers, ...typed }, body: body === undefined ? null : JSON.stringify(body) };
    const response = await fetch(`${url}/api/v1${path}`, init);
    return { status: response.status, cookie: cookieOf(response), body: await response.json() };
  };
  return {
    call,
    signIn: async (password = 'admin123') => {
      const { status, cookie } = await call('POST', '/auth/login', { body: { password } });
      if (status !== 200) throw new Error(`signing in was answered ${status}`);
      const headers = { cookie };
      const { body } = await call('GET', '/auth/me', { headers });
      return { id: body.session.id, headers };
    },
    tryPassword: async (password) => (await call('POST', '/auth/login', { body: { password } })).status,
    statusFor: async (headers) => (await call('GET', '/auth/me', { headers })).status,
  };
}
