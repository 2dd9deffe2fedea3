// What `backchannel proxy-config` prints for a server with this environment.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const main = join(import.meta.dirname, '../packages/cli/src/main.ts');

export async function printBlock(env: Record<string, string>, ...words: string[]): Promise<string> {
  const { PATH = '', HOME = '' } = process.env;
  const { stdout } = await run(process.execPath, [main, 'proxy-config', ...words], { env: { PATH, HOME, ...env } });
  return stdout;
}
