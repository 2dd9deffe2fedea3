// Servers as processes of their own, and requests to them that take nothing for granted.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly url: string;
  stderr(): string;
  /** Ends it by this signal; its exit code and signal. */
  end(signal: NodeJS.Signals): Promise<[code: number | null, signal: string | null]>;
}

/** A server with this environment and nothing else of the machine's. @throws with what it said, where it did not start. */
export const startProcess = (env: Record<string, string>): Promise<ServerProcess> =>
  untilServing(
    spawn(process.execPath, [main], {
      env: { PATH: process.env.PATH ?? '', PORT: '0', LOG_FORMAT: 'json', BCRYPT_COST: '10', ...env },
    }),
  );

/** The same of a child that has been started already. */
export async function untilServing(child: ChildProcess): Promise<ServerProcess> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = once(child, 'close') as Promise<[number | null, string | null]>;
  const failed = closed.then(() => {
    throw new Error(stderr);
  });
  failed.catch(() => {});
  const found = new Promise<string>((resolve) => {
    if (!child.stdout) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, url] = /^ +URL +(http\S+)/.exec(line) ?? [];
      if (url) resolve(url.replace('localhost', '127.0.0.1'));
    });
  });
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return closed;
  };
  return {
    child,
    url: await Promise.race([found, failed]),
    stderr: () => stderr,
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
  const cookies = answer.headers.getSetCookie().map((line) => line.split(';')[0]);
  await answer.arrayBuffer();
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), cookie: cookies.join('; ') };
}

/** Signs in with the password that counts on a fresh data folder. */
export const login = (url: string): Promise<ProcessAnswer> =>
  call(url, 'POST /api/v1/auth/login', { body: { password: 'admin123' } });
