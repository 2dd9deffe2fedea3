// When this process must end: on signals, and when its launcher (npx, pnpm) is gone. It does not know what it ends.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * A closed terminal sends two SIGHUPs 3 ms apart, and pnpm before 12.6 doubled Ctrl-C. Signals this close together count as
 * one; no person presses Ctrl-C twice this fast.
 */
const SAME_SIGNAL_MS = 300;

/** Calls `stop` at the first signal. A second signal ends the process immediately. */
export function onSignal(stop: (reason: string) => void): void {
  let first: number | undefined;
  for (const [signal, number] of [
    ['SIGHUP', 1],
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.on(signal, () => {
      if (first === undefined) {
        first = performance.now();
        stop(signal);
      } else if (signal !== 'SIGHUP' && performance.now() - first > SAME_SIGNAL_MS) process.exit(128 + number);
    });
  }
  // Once the terminal is gone, each write fails with EIO or EPIPE. Unhandled, that would end the process before it has closed.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/**
 * Calls `stop` within half a second after the npx or pnpm that launched this process is gone. A signal to npx ends only npx
 * and leaves pnpm and its shell alive, so each process up to npx is watched. None above it is: a shell or script that
 * started npx may end at any time (disown, nohup, a tool that returns). `throughNpx` tells whether npx was involved.
 */
export function onOrphaned(throughNpx: boolean, stop: (reason: string) => void): void {
  // On Windows, the parent of a process never changes, and pnpm's job object ends its children.
  if (process.platform === 'win32') return;
  const isLauncher = throughNpx ? /^npm / : /\bpnpm\b/;
  const chain = [process.pid];
  let known = inspect(process.pid);
  let found = false;
  while (known && known.parent > 0 && !found) {
    chain.push(known.parent);
    known = inspect(known.parent);
    found = known !== null && isLauncher.test(known.command);
  }
  if (throughNpx && known?.parent === 0 && !found) {
    stop('npx is gone'); // ended while pnpm was still installing
    return;
  }
  const links = chain.slice(1, found ? undefined : 2).map((parent, index) => ({ parent, child: chain[index] ?? 0 }));
  const timer = setInterval(() => {
    if (links.every(isWhole)) return;
    clearInterval(timer);
    stop('the launching process is gone');
  }, 500).unref();
}

/** A zombie parent still accepts signals, so the check is whether the child has a new parent. */
function isWhole({ parent, child }: { parent: number; child: number }): boolean {
  if (child === process.pid) return process.ppid === parent;
  if (process.platform === 'linux') return inspect(child)?.parent === parent;
  try {
    return process.kill(parent, 0);
  } catch {
    return false;
  }
}

function inspect(pid: number): { parent: number; command: string } | null {
  try {
    if (process.platform !== 'linux') {
      const line = execFileSync('ps', ['-o', 'ppid=,command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
      return { parent: Number.parseInt(line, 10), command: line.replace(/^\d+\s+/, '') };
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1'); // "pid (any name at all) state parent …"
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return { parent, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8') };
  } catch {
    return null;
  }
}
