// Servers as separate processes, and requests to them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cookieOf } from './cookies.ts';

export const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** The address that it prints, once it serves. @throws with what it wrote to stderr, if it ends before. */
  url(): Promise<string>;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  /** Ends it by this signal. */
  end(signal: NodeJS.Signals): ServerProcess['ended'];
}

/** Runs main.ts with this environment and nothing else of the machine's. It is killed when it is disposed of. */
export function run(env: Record<string, string>, args: readonly string[] = []): ServerProcess {
  const own = { PORT: '0', LOG_FORMAT: 'json', BCRYPT_COST: '10', ...env };
  return follow(spawn(process.execPath, [main, ...args], { env: own }));
}

/** The same, once it serves. */
export const startProcess = (env: Record<string, string>): Promise<RunningProcess> => untilServing(run(env));

export type RunningProcess = Omit<ServerProcess, 'url'> & { readonly url: string };

export async function untilServing(server: ServerProcess): Promise<RunningProcess> {
  const url = await server.url();
  return { ...server, url: url.replace('localhost', '127.0.0.1') };
}

/** Follows a server that has been started already. */
export function follow(child: ChildProcess): ServerProcess {
  let [stdout, stderr] = ['', ''];
  const printed = Promise.withResolvers<string>();
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    const [, url] = /^ +URL +(http\S+)\n/m.exec(stdout) ?? [];
    if (url) printed.resolve(url);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  ended.then(
    () => printed.reject(new Error(stderr)),
    (error) => printed.reject(error),
  );
  // A caller that does not ask for the address need not handle its absence.
  printed.promise.catch(() => {});
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    url: () => printed.promise,
    ended,
    end,
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL');
    },
  };
}

export interface ProcessAnswer {
  status: number;
  retryAfter: string | null;
  /** What a browser would send next time for the cookies that were set. */
  cookie: string;
}

/** A request that is given up after ten seconds: no answer of these servers may take so long. */
export async function call(
  url: string,
  target: string,
  options: { cookie?: string; body?: object } = {},
): Promise<ProcessAnswer> {
  const { cookie = '', body } = options;
  const [method = '', path = ''] = target.split(' ');
  const answer = await fetch(url + path, {
    method,
    headers: { cookie, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(10_000),
  });
  await answer.arrayBuffer();
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), cookie: cookieOf(answer) };
}

/** Signs in with the password of a fresh data folder. */
export const login = (url: string): Promise<ProcessAnswer> =>
  call(url, 'POST /api/v1/auth/login', { body: { password: 'admin123' } });
