// What Linux tells of a process: the time that it has spent and the memory that it holds (man 5 proc).
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Time is counted in hundredths of a second, whatever the kernel's own clock. */
const TICK_MS = 10;
/** Where the server's time cannot be read, this long is waited for it to be idle. */
const IDLE_PATIENCE_MS = 8000;

/** Time that a process has spent on all cores since its start, in milliseconds; null where /proc is not to be had. */
export function readCpuMs(pid: number): number | null {
  return readStat(pid)?.cpuMs ?? null;
}

/** The same of a process with all that it has started, those that have ended and what these have started included. */
export function readTreeCpuMs(root: number): number | null {
  const stats = new Map(listProcesses().flatMap((pid) => [[pid, readStat(pid)] as const]));
  if (!stats.get(root)) return null;
  const isWithin = (pid: number): boolean => pid === root || isWithinParent(stats.get(pid)?.parent);
  const isWithinParent = (parent: number | undefined) => parent !== undefined && isWithin(parent);
  return [...stats].reduce((ms, [pid, stat]) => (stat && isWithin(pid) ? ms + stat.cpuMs + stat.endedCpuMs : ms), 0);
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

interface Stat {
  parent: number;
  cpuMs: number;
  /** Of its children that have ended. */
  endedCpuMs: number;
}

function readStat(pid: number): Stat | null {
  const stat = readProc(pid, 'stat');
  if (stat === null) return null;
  // The name in the second field may hold spaces; what follows its bracket does not.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15).map(Number);
  return {
    parent: Number(fields[1]),
    cpuMs: (user + system) * TICK_MS,
    endedCpuMs: (endedUser + endedSystem) * TICK_MS,
  };
}

function listProcesses(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return null;
  }
}
