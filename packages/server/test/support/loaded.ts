// Which packages a process has loaded after it opened a store: an engine that is not used must cost nothing.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DatabaseAddress } from '../../src/config/config.ts';

/** Which of these CommonJS packages a separate process has loaded after it opened the store. */
export async function loadedBy(database: DatabaseAddress, packages: readonly string[]): Promise<string[]> {
  const store = join(import.meta.dirname, '../../src/store/database.ts');
  const code = `
    import { createRequire } from 'node:module';
    const { openStore } = await import(${JSON.stringify(store)});
    await using store = await openStore(${JSON.stringify(database)});
    const files = Object.keys(createRequire(import.meta.url).cache);
    const isLoaded = (name) => files.some((file) => file.includes('/node_modules/' + name + '/'));
    console.log(JSON.stringify(${JSON.stringify(packages)}.filter(isLoaded)));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code]);
  return JSON.parse(stdout);
}
