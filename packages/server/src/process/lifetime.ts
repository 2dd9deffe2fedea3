// When this process has to end: signals, and the launcher (npx, pnpm) going away. It knows nothing of what it ends.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** One closed terminal is two SIGHUPs 3 ms apart, pnpm before 12.6 doubled Ctrl-C; no person presses it twice this fast. */
const SAME_SIGNAL_MS = 300;

/** Calls `stop` at the first signal; a second one, from somebody who won't wait, ends the process at once. */
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
  // Without a terminal each write fails with EIO or EPIPE: unheard, that would cut the orderly stop short.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/**
 * Calls `stop` within half a second once the npx or pnpm that launched this process is gone. A signal to npx ends npx
 * alone and leaves pnpm and its shell in between alive, so each link up to npx is watched, and none above it: a shell
 * or a script that started npx may end as it likes (disown, nohup, a tool that returns). `throughNpx` says whether
 * there was an npx at all.
 */
export function onOrphaned(throughNpx: boolean, stop: (reason: string) => void): void {
  // A parent is never replaced there, and pnpm's job object ends its children.
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

/** A dead parent that nobody has waited for still takes signals; that its child has another parent can't be missed. */
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
