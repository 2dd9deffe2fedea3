// Runs on one engine: it opens no database.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const startMemory = new URL('../../src/process/start-memory.ts', import.meta.url).href;

test('what a start has left behind is given back when nothing is to be done, without an end to the process', async () => {
  const program = `
    const { favourSize, favourSpeed, giveBackWhenIdle } = await import('${startMemory}');
    favourSize();
    let left = Array.from({ length: 300_000 }, () => ({ list: [] }));
    const held = process.memoryUsage().heapTotal;
    left = null;
    favourSpeed();
    giveBackWhenIdle();
    const look = setInterval(() => {
      if (process.memoryUsage().heapTotal > held / 2) return;
      clearInterval(look);
      console.log('given back', typeof globalThis.gc);
    }, 50);`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    timeout: 15_000,
  });
  expect({ stdout, stderr }).toEqual({ stdout: 'given back undefined\n', stderr: '' });
});
