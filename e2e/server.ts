// Owns the server under test as a user runs it: the real process, on a free port, with a data folder of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFailed } from 'vitest';

const root = join(import.meta.dirname, '..');

/** What a start may take on a slow machine, and a stop at most: the server itself gives requests in flight 10 s. */
const patienceMs = 20_000;

export interface Server extends AsyncDisposable {
  /** Its address without a slash at the end, as its start block says it. */
  url: string;
  dataDir: string;
  /** All that it has written so far, stdout and stderr. */
  output(): string;
  /** Ends it by SIGTERM and tells its exit code; null when it had to be killed. */
  stop(): Promise<number | null>;
}

/** Another server than the one of this checkout. */
export interface Installed {
  /** What Node is to run. */
  main: string;
  /** The working folder. */
  cwd: string;
  /** Another Node than the one that runs this. */
  node?: string;
}

/**
 * Starts the server and waits until it says where it listens. Of the environment it gets PATH, HOME and `env`; with a
 * PUBLIC_URL there, PORT has to be there too. Called inside a test; if that fails, what the server wrote is told too.
 */
export async function openServer(env: Record<string, string> = {}, installed?: Installed): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), 'backchannel-e2e-'));
  const { PATH = '', HOME = '' } = process.env;
  const { main, cwd, node } = installed ?? { main: 'packages/server/src/main.ts', cwd: root };
  const child = spawn(node ?? process.execPath, [main, '--exit-with-parent'], {
    cwd,
    env: { PATH, HOME, PORT: '0', DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const stop = () => end(child);
  const dispose = async () => {
    await stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (what: string) => reject(new Error(`The server ${what}. It wrote:\n${output}`));
      const timer = setTimeout(() => fail(`has not said where it listens in ${patienceMs} ms`), patienceMs);
      child.once('exit', (code, signal) => fail(`ended (${signal ?? code}) before it said where it listens`));
      child.once('error', (error) => fail(`did not start: ${error.message}`));
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          const address = findAddress(output, env);
          if (!address) return;
          clearTimeout(timer);
          resolve(address);
        });
      }
    });
    onTestFailed(() => console.error(`The server wrote:\n${output}`));
    return { url, dataDir, output: () => output, stop, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Behind a proxy it says the address that people use, and listens where it was told to. */
function findAddress(output: string, { PORT, PUBLIC_URL }: Record<string, string>): string | undefined {
  if (PUBLIC_URL) return output.includes(` ${PUBLIC_URL}\n`) ? `http://localhost:${PORT}` : undefined;
  return output.match(/http:\/\/localhost:[1-9]\d*\b(?=[/\s])/)?.[0];
}

async function end(child: ChildProcess): Promise<number | null> {
  // Without a process id it never started; with a code or a signal it has ended already.
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await ended;
  clearTimeout(timer);
  return child.exitCode;
}
