// Runs commands for the tests: in this process on a temporary folder, or as a process from a temporary checkout.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { run } from '../src/run.ts';

export const repository = resolve(import.meta.dirname, '../../..');
const serverModules = join(repository, 'packages/server/node_modules');

export interface Run {
  stdout: string;
  stderr: string;
  exitCode: number | null;
}

interface RunOptions {
  /** The text in the pipe that is stdin. By default, the pipe is empty. */
  input?: string | Uint8Array;
  /** The environment. A process also gets PATH. */
  env?: Record<string, string>;
}

export interface HereOptions extends RunOptions {
  /** Makes stdin a terminal. Each entry has the keys that answer one question. */
  typed?: readonly string[];
}

/** A folder for `.env` and the data. */
export interface Home extends Disposable {
  readonly root: string;
  /** Runs a command in this process, which is some fifty times faster than a separate process. */
  run(args: readonly string[], options?: HereOptions): Promise<Run>;
}

/** A copy of the code with a folder to run in, for tests that need a process: the executable, its environment, signals, pipes. */
export interface Checkout extends Home {
  /** The path of the executable. */
  readonly bin: string;
  /** Runs the executable as a process. */
  spawn(args: readonly string[], options?: RunOptions): Promise<Run>;
  /** Runs a command line of `sh` in the checkout. `node` is the one that runs this. */
  shell(line: string, options?: RunOptions): Promise<Run>;
}

/** Creates a home that contains `files`. */
export function makeHome(files: Record<string, string> = {}): Home {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'backchannel-cli-')));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, name), content);
  return {
    root,
    run: (args, options) => runHere(args, { root, ...options }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

async function runHere(args: readonly string[], options: HereOptions & { root: string }): Promise<Run> {
  const { root, input = '', env = {}, typed } = options;
  const stdin = Object.assign(new PassThrough(), typed ? { isTTY: true, setRawMode: () => {} } : {});
  if (!typed) stdin.end(input);
  const answers = [...(typed ?? [])];
  const printed = { stdout: '', stderr: '' };
  const stdout = { write: (text: string) => (printed.stdout += text) };
  const stderr = {
    write: (text: string) => {
      printed.stderr += text;
      if (/^(?:Password|Repeat the password): $/.test(text)) stdin.write(answers.shift() ?? '\u0003');
    },
  };
  const exitCode = await run(args, { env, root, cwd: root, stdin, stdout, stderr });
  return { ...printed, exitCode };
}

/** Creates a checkout with `files` in its root. With `serverPackages`, only those packages are installed for the server. */
export function checkout(files: Record<string, string> = {}, options: { serverPackages?: string[] } = {}): Checkout {
  const home = makeHome(files);
  const { root } = home;
  for (const path of ['package.json', 'pnpm-workspace.yaml']) cpSync(join(repository, path), join(root, path));
  const copied = ['cli', 'server', 'client-sdk'].flatMap((name) => [`${name}/package.json`, `${name}/src`]);
  for (const path of copied) {
    cpSync(join(repository, 'packages', path), join(root, 'packages', path), { recursive: true });
  }
  for (const name of ['server', 'client-sdk']) {
    link(join(root, 'packages', name), join(root, 'packages/cli/node_modules/@backchannel', name));
  }
  link(join(repository, 'packages/client-sdk/node_modules'), join(root, 'packages/client-sdk/node_modules'));
  const installed = options.serverPackages;
  if (!installed) link(serverModules, join(root, 'packages/server/node_modules'));
  for (const name of installed ?? []) {
    link(realpathSync(join(serverModules, name)), join(root, 'packages/server/node_modules', name));
  }

  const bin = join(root, 'packages/cli/src/main.ts');
  return {
    ...home,
    bin,
    spawn: (args, options) => finished(start(process.execPath, [bin, ...args], { cwd: root, ...options })),
    shell: (line, options) => finished(start('sh', ['-c', line], { cwd: root, ...options })),
  };
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path, 'junction');
}

/** PATH with the Node that runs this in front. */
export const environment = { PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };

function start(program: string, args: readonly string[], options: RunOptions & { cwd: string }): ChildProcess {
  const child = spawn(program, args, { cwd: options.cwd, env: { ...environment, ...options.env } });
  // A command that needs no input may exit before the input is written.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input ?? '');
  return child;
}

async function finished(child: ChildProcess): Promise<Run> {
  const run: Run = { stdout: '', stderr: '', exitCode: null };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      run[name] += text;
    });
  }
  run.exitCode = await new Promise((done, failed) => child.once('error', failed).once('close', done));
  return run;
}

/** Whether a terminal is available: `script` of util-linux provides one. */
export const hasTerminal =
  process.platform === 'linux' && /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout);

export interface Terminal extends Disposable {
  /** Waits until the text appears after the previous match. Returns everything on the screen up to there. */
  waitFor(text: string): Promise<string>;
  type(keys: string | Uint8Array): void;
  /** Waits for the end. Returns everything on the screen, and the exit code. */
  ended(): Promise<{ screen: string; exitCode: number | null }>;
}

/** Runs a command line of `sh` at a new terminal. */
export function openTerminal(line: string, options: { cwd: string }): Terminal {
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    ...options,
    env: { ...environment, SHELL: '/bin/sh', TERM: 'xterm' },
  });
  let screen = '';
  let seen = 0;
  let look = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    look();
  });
  const exit = new Promise<number | null>((done, failed) => child.once('error', failed).once('close', done));

  return {
    waitFor: (text) =>
      new Promise((found, failed) => {
        look = () => {
          const at = screen.indexOf(text, seen);
          if (at < 0) return;
          seen = at + text.length;
          found(screen.slice(0, seen));
        };
        exit.then(() => failed(new Error(`ended without ${JSON.stringify(text)}: ${JSON.stringify(screen)}`)), failed);
        look();
      }),
    type: (keys) => child.stdin.write(keys),
    ended: async () => ({ exitCode: await exit, screen }),
    [Symbol.dispose]: () => child.kill('SIGKILL'),
  };
}
