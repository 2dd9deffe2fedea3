// Owns the server under test as a user runs it: the real process, on a free port, with its own data folder.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { follow } from '../packages/server/test/support/server-process.ts';

const root = join(import.meta.dirname, '..');

export interface Server extends AsyncDisposable {
  /** Its address without a slash at the end, as its start block says it. */
  url: string;
  dataDir: string;
  /** All that it has written so far, stdout and stderr. */
  output(): string;
  /** Ends it by SIGTERM and tells its exit code. */
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
 * PUBLIC_URL there, PORT has to be there too.
 */
export async function openServer(env: Record<string, string> = {}, installed?: Installed): Promise<Server> {
  const dataDir = await mkdtemp(join(tmpdir(), 'backchannel-e2e-'));
  const { PATH = '', HOME = '' } = process.env;
  const { main, cwd, node } = installed ?? { main: 'packages/server/src/main.ts', cwd: root };
  const child = spawn(node ?? process.execPath, [main, '--exit-with-parent'], {
    cwd,
    env: { PATH, HOME, PORT: '0', BCRYPT_COST: '10', DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = follow(child);
  const dispose = async () => {
    await server[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const printed = await server.url();
    return {
      // Behind a proxy it prints the address that people use, and listens where it was told to.
      url: env.PUBLIC_URL ? `http://localhost:${env.PORT}` : printed,
      dataDir,
      output: () => server.stdout() + server.stderr(),
      stop: async () => (await server.end('SIGTERM')).code,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
