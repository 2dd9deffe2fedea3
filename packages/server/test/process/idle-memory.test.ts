// Runs on one engine: it opens no database.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const idleMemory = new URL('../../src/process/idle-memory.ts', import.meta.url).href;

test('an idle process returns the memory that its start left behind, once, and keeps running', async () => {
  const program = `
    const { returnMemoryWhenIdle } = await import('${idleMemory}');
    let left = Array.from({ length: 300_000 }, () => ({ list: [] }));
    const held = process.memoryUsage().heapTotal;
    left = null;
    returnMemoryWhenIdle();
    const look = setInterval(() => {
      if (process.memoryUsage().heapTotal > held / 2) return;
      clearInterval(look);
      console.log('returned', typeof globalThis.gc);
    }, 50);`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 15_000,
  });
  expect({ stdout, stderr }).toEqual({ stdout: 'returned undefined\n', stderr: '' });
});
