// The process: the one file with effects on import. Configuration, server, start block, signals, exit codes.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { favourSize, favourSpeed } from './start-memory.ts';

favourSize();
// Beside the code, not in the shared temporary folder, where another user could lay code ready for us to run.
enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'));
const { run } = await import('./run.ts');
await run(process.argv.slice(2));
favourSpeed();
