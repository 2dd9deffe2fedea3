// What a reader has to know of the machine to judge a run, and which cores the two sides of a measurement get.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, platform, release } from 'node:os';

/** Load before the run, in runnable processes, from which on it disturbs what is measured. */
const QUIET_LOAD = 0.5;

/** One line, and a second one where something else is using the machine. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() || 'unknown CPU';
  const [load = 0] = loadavg();
  const line = `Machine: ${model}, ${availableParallelism()} cores, ${platform()} ${release()}, Node ${process.version}.`;
  if (load < QUIET_LOAD) return line;
  return `${line}\nNOT QUIET: the load average was ${load.toFixed(1)} before the run, so trust no single number of it.`;
}

/** The cores of a measurement; null where nothing can be pinned. */
export interface Cores {
  server: number;
  load: number;
}

/** Two cores that this process may use and that are, where possible, not two threads of one. */
export function findCores(): Cores | null {
  const told = spawnSync('taskset', ['-cp', String(process.pid)], { encoding: 'utf8' });
  if (told.status !== 0) return null;
  const allowed = parseCores(told.stdout.slice(told.stdout.lastIndexOf(':') + 1));
  const [server] = allowed;
  if (server === undefined) return null;
  const siblings = readSiblings(server);
  const load = allowed.find((core) => !siblings.includes(core)) ?? allowed.find((core) => core !== server);
  return load === undefined ? null : { server, load };
}

export function describeCores(cores: Cores | null): string {
  if (!cores) return 'Not pinned: taskset (util-linux) and two cores are needed for that, so expect a wider spread.';
  return `Servers on core ${cores.server}, load on core ${cores.load}.`;
}

/** A list such as `0-3,8`. */
function parseCores(list: string): number[] {
  return list
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first = Number.NaN, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

function readSiblings(core: number): number[] {
  try {
    return parseCores(readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, 'utf8'));
  } catch {
    return [core];
  }
}
