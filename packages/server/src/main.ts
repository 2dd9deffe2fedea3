#!/usr/bin/env node
// The process: the one file with effects on import. Configuration, server, start block, signals, exit codes.
import * as module from 'node:module';
import { join } from 'node:path';

// Before anything that an older one cannot even read. npm only warns of `engines`.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`BackChannel needs Node.js 24 or newer, and this is ${process.versions.node}.`);
  process.exit(1);
}
// Beside the code, not in the shared temporary folder, where another user could lay code ready for us to run.
module.enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'));
// What is imported before this line is not cached.
const { run } = await import('./process/run.ts');
const { returnMemoryWhenIdle } = await import('./process/idle-memory.ts');
await run(process.argv.slice(2));
returnMemoryWhenIdle();
