// Runs on one engine: its subject is the process's threads.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startProcess } from '../support/server-process.ts';

/** The nice values of a process's threads, by the thread's name (proc(5): comm, and field 19 of stat). */
function nicenessOf(pid: number): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const [, , , , , , , , , , , , , , , , nice] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    found.set(name, (found.get(name) ?? new Set()).add(Number(nice)));
  }
  return found;
}

test.skipIf(process.platform !== 'linux')('bcrypt’s threads run at a lower priority than the event loop', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'backchannel-priority-'));
  {
    await using server = await startProcess({ DATA_DIR: dataDir });
    const pid = server.child.pid ?? 0;
    await expect.poll(() => [...(nicenessOf(pid).get('libuv-worker') ?? [])]).toEqual([10]);
    expect([...(nicenessOf(pid).get('node') ?? nicenessOf(pid).get('MainThread') ?? [])]).toContain(0);
  }
  rmSync(dataDir, { recursive: true });
});
