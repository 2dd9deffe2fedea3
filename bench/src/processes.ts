// Owns every process that a run starts and the one folder that they write to: neither outlives the run. Only when the
// run itself is killed outright does the folder stay; the processes notice and end. Knows nothing of what is measured.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const checkout = join(import.meta.dirname, '../..');
/** What a start and an end may take on a slow machine. BackChannel itself gives requests in flight 10 s. */
const PATIENCE_MS = 20_000;
/** Linux counts a process's time in hundredths of a second, whatever the kernel's own clock (man 5 proc). */
const TICK_MS = 10;

/** Where the server's time cannot be read, this long is waited for it to be idle. */
const IDLE_PATIENCE_MS = 8000;

const running = new Set<ChildProcess>();
const lastWritten = new Map<ChildProcess, string>();
const LAST_WRITTEN_CHARACTERS = 4000;
let scratch: string | undefined;

process.on('exit', () => {
  // Nothing of theirs is wanted any more, and a handler of this event cannot wait for a gentle end.
  for (const child of running) child.kill('SIGKILL');
  if (scratch) rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
});

/** A new empty folder, deleted with all others when the run ends. */
export function makeFolder(name: string): string {
  scratch ??= mkdtempSync(join(tmpdir(), 'backchannel-bench-'));
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
}

export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** Its address on loopback, without a slash at the end. */
  readonly url: string;
}

/** Starts a server and waits until it has written its address, http://localhost:PORT, to stdout. */
export async function openServer(options: ProcessOptions): Promise<ServerProcess> {
  const child = start(options, ['pipe', 'pipe', 'pipe']);
  const { pid = 0 } = child;
  try {
    const port = await new Promise<string>((resolve, reject) => {
      const fail = (what: string) => reject(new Error(`${options.script} ${what}.`));
      const timer = setTimeout(() => fail(`has not said where it listens in ${PATIENCE_MS} ms`), PATIENCE_MS);
      child.once('exit', (code, signal) => fail(`ended (${signal ?? code}) before it said where it listens`));
      child.once('error', (error) => fail(`did not start: ${error.message}`));
      let written = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          written = (written + text).slice(-LAST_WRITTEN_CHARACTERS);
          lastWritten.set(child, `${options.script} (${pid}):\n${written}`);
          const found = /http:\/\/localhost:([1-9]\d*)\s/.exec(written)?.[1];
          if (!found) return;
          clearTimeout(timer);
          // That it started is nothing that went wrong.
          written = '';
          lastWritten.delete(child);
          resolve(found);
        });
      }
    });
    // By number: a name would be looked up for each connection.
    return { pid, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => end(child) };
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
          once(child, 'exit', { signal }).then(() => [{ error: `${options.script} ended by itself` }]),
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

/** Time that a process has spent on all cores since its start, in milliseconds; null where /proc is not to be had. */
export function readCpuMs(pid: number): number | null {
  const stat = readProc(pid, 'stat');
  if (stat === null) return null;
  // The name in the second field may hold spaces; what follows its bracket does not.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Passwords of clients that hung up are still being checked: nothing else may begin with those. */
export async function untilIdle(pid: number): Promise<void> {
  const intervalMs = 250;
  for (let waitedMs = 0; waitedMs < IDLE_PATIENCE_MS; waitedMs += intervalMs) {
    const before = readCpuMs(pid);
    await sleep(intervalMs);
    const after = readCpuMs(pid);
    if (before !== null && after !== null && after - before < intervalMs / 10) return;
  }
}

/** Memory that a process holds, in bytes; null where /proc is not to be had. */
export function readRssBytes(pid: number): number | null {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readProc(pid, 'status') ?? '')?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return null;
  }
}

function start(options: ProcessOptions, stdio: StdioOptions): ChildProcess {
  const { PATH = '', HOME = '' } = process.env;
  const node = [process.execPath, join(checkout, options.script), ...(options.args ?? [])];
  // taskset replaces itself by node, so the process id stays the same.
  const [program = '', ...args] = options.core === null ? node : ['taskset', '-c', String(options.core), ...node];
  const child = spawn(program, args, { cwd: checkout, env: { PATH, HOME, ...options.env }, stdio });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (!running.has(child) || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}
