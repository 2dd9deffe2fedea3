// Owns every process that a run starts and the one folder that they write to: neither outlives the run. Only when the
// run itself is killed outright does the folder stay; the processes notice and end. Knows nothing of what is measured.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const checkout = join(import.meta.dirname, '../..');
/** What a start and an end may take on a slow machine. BackChannel itself gives requests in flight 10 s. */
const PATIENCE_MS = 20_000;

const running = new Set<ChildProcess>();
/** Those of them that have started a process themselves. */
const parents = new Set<ChildProcess>();
const lastWritten = new Map<ChildProcess, string>();
const LAST_WRITTEN_CHARACTERS = 4000;
let scratch: string | undefined;

process.on('exit', () => {
  // Nothing of theirs is wanted any more, and a handler of this event cannot wait for a gentle end.
  // A script that starts processes ends them when its stdin closes.
  for (const child of running) if (!parents.has(child)) child.kill('SIGKILL');
  if (scratch) rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
});

/** A new empty folder, deleted with all others when the run ends. */
export function makeFolder(name: string): string {
  if (scratch === undefined) {
    scratch = mkdtempSync(join(tmpdir(), 'backchannel-bench-'));
    // PostgreSQL is another user's where the run is root's, and has to get to its own.
    chmodSync(scratch, 0o711);
  }
  return mkdtempSync(join(scratch, `${name}-`));
}

export interface ProcessOptions {
  /** Below the checkout. */
  script: string;
  args?: readonly string[];
  /** On top of PATH and HOME, which is all that it gets of the environment. */
  env?: Readonly<Record<string, string>>;
  /** The one core that it may use; null for all. */
  core: number | null;
  /** Whether it starts a process itself, which it ends when its stdin closes: it gets the time for that. */
  isParent?: boolean;
}

export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** Its address on loopback, without a slash at the end; of a database with user and password. */
  readonly url: string;
}

/** Starts a server and waits until it has written its address, such as http://localhost:PORT, to stdout. */
export async function openServer(options: ProcessOptions): Promise<ServerProcess> {
  const child = start(options, ['pipe', 'pipe', 'pipe']);
  const { pid = 0 } = child;
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (what: string) => reject(new Error(`${options.script} ${what}.`));
      const timer = setTimeout(() => fail(`has not said where it listens in ${PATIENCE_MS} ms`), PATIENCE_MS);
      child.once('exit', (code, signal) => fail(`ended (${signal ?? code}) before it said where it listens`));
      child.once('error', (error) => fail(`did not start: ${error.message}`));
      let written = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          written = (written + text).slice(-LAST_WRITTEN_CHARACTERS);
          lastWritten.set(child, `${options.script} (${pid}):\n${written}`);
          const [, before, port] = /(\w+:\/\/(?:\S+@)?)localhost:([1-9]\d*)\s/.exec(written) ?? [];
          if (before === undefined) return;
          clearTimeout(timer);
          // That it started is nothing that went wrong.
          written = '';
          lastWritten.delete(child);
          // By number: a name would be looked up for each connection.
          resolve(`${before}127.0.0.1:${port}`);
        });
      }
    });
    return { pid, url, [Symbol.asyncDispose]: () => end(child) };
  } catch (error) {
    await end(child);
    throw error;
  }
}

/** What servers have written at last, beside that they started; empty when they had nothing to say. */
export function describeLastWritten(): string {
  return [...lastWritten.values()].map((text) => `--- Written by ${text.trimEnd()}\n`).join('');
}

export interface Worker<Job, Result> extends AsyncDisposable {
  /** One job at a time. */
  run(job: Job): Promise<Result>;
}

/** Starts a process that answers jobs with results; its script ends in `serveJobs` of load/worker.ts. */
export function openWorker<Job extends object, Result>(options: ProcessOptions): Worker<Job, Result> {
  const child = start(options, ['ignore', 'inherit', 'inherit', 'ipc']);
  return {
    run: async (job) => {
      const over = new AbortController();
      const { signal } = over;
      try {
        child.send(job);
        const [answer] = await Promise.race([
          once(child, 'message', { signal }),
          once(child, 'exit', { signal }).then(() => [{ error: `${options.script} ended unexpectedly` }]),
        ]);
        if ('error' in answer) throw new Error(String(answer.error));
        return answer.result as Result;
      } finally {
        over.abort();
      }
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

function start(options: ProcessOptions, stdio: StdioOptions): ChildProcess {
  const { PATH = '', HOME = '' } = process.env;
  const node = [process.execPath, join(checkout, options.script), ...(options.args ?? [])];
  // taskset replaces itself by node, so the process id stays the same.
  const [program = '', ...args] = options.core === null ? node : ['taskset', '-c', String(options.core), ...node];
  const child = spawn(program, args, { cwd: checkout, env: { PATH, HOME, ...options.env }, stdio });
  running.add(child);
  if (options.isParent) parents.add(child);
  child.once('exit', () => {
    running.delete(child);
    parents.delete(child);
  });
  return child;
}

/** Ends what has a process of its own to end, and may be writing until it has: the least that an interrupted run waits for. */
export async function endParents(): Promise<void> {
  await Promise.all([...parents].map(end));
}

async function end(child: ChildProcess): Promise<void> {
  if (!running.has(child) || child.pid === undefined) return;
  const ended = once(child, 'exit');
  // At a signal PostgreSQL's package would leave before what it has started has ended.
  if (parents.has(child)) child.stdin?.end();
  else child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}
