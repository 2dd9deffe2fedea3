#!/usr/bin/env node
// The bin: runs the command line of this process. It is the only file with side effects, and knows no command.
import * as module from 'node:module';
import { join } from 'node:path';

// Before anything that an older one cannot even read. npm only warns of `engines`.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`BackChannel needs Node.js 24 or newer, and this is ${process.versions.node}.`);
  process.exit(1);
}
// Beside the code, not in the shared temporary folder, where another user could lay code ready for us to run.
module.enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'));
const { run } = await import('./run.ts');

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    // Whoever reads our output may stop early (`| head -1`); that is no error of ours.
    if (code === 'EPIPE') process.exit();
    if (stream === process.stdout) console.error(`backchannel: the result cannot be written (${code})`);
    process.exit(1);
  });
}

const { env, stdin, stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), { env, root: null, cwd: process.cwd(), stdin, stdout, stderr });
