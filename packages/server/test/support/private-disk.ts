// A small disk for one test: a tmpfs that only one process and its children see, on Linux.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const mountIn = (folder: string, options: string) => `mount -t tmpfs -o ${options} tmpfs ${folder}`;
const inNamespace = (line: string) => ['unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', line]] as const;

/** Whether this machine lets a process create mounts. */
export const hasPrivateDisks =
  process.platform === 'linux' && spawnSync(...inNamespace(mountIn(tmpdir(), 'size=1m'))).status === 0;

export interface PrivateDisk extends Disposable {
  /** Where it is, for the process that was started on it. */
  readonly folder: string;
  /** Runs a line of `sh` with the disk there; `options` are tmpfs's, such as `size=2m` or `size=2m,ro`. */
  run(options: string, line: string, env: Record<string, string>): ChildProcess;
}

export function openPrivateDisk(): PrivateDisk {
  const folder = mkdtempSync(join(tmpdir(), 'backchannel-disk-'));
  return {
    folder,
    run: (options, line, env) =>
      spawn(...inNamespace(`${mountIn(folder, options)} && ${line}`), {
        env: { PATH: process.env.PATH ?? '', ...env },
      }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The same folder as this process sees it, while `child` lives. */
export const seenFromOutside = (child: ChildProcess, folder: string): string => `/proc/${child.pid}/root${folder}`;

/** Leaves no byte free. */
export function fillDisk(folder: string): { free(): void } {
  const file = join(folder, 'filler');
  for (const size of [1 << 20, 1 << 16, 1 << 12, 1 << 8, 1]) {
    for (;;) {
      try {
        writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
      } catch {
        break;
      }
    }
  }
  return { free: () => rmSync(file) };
}
