#!/usr/bin/env node
// The process. This is the only file with side effects on import.
import * as module from 'node:module';
import { join } from 'node:path';

// Checked before anything that an older Node cannot parse. npm only warns about `engines`.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`BackChannel needs Node.js 24 or newer, and this is ${process.versions.node}.`);
  process.exit(1);
}
// The cache is beside the code, not in the shared temporary folder, where another user could plant code.
module.enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'));
// What is imported before this line is not cached.
const { run } = await import('./process/run.ts');
const { returnMemoryWhenIdle } = await import('./process/idle-memory.ts');
await run(process.argv.slice(2));
returnMemoryWhenIdle();
