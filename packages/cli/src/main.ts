#!/usr/bin/env node
// The executable: runs the command line of this process. It is the only file with side effects, and it knows no command.
import * as module from 'node:module';
import { join } from 'node:path';

// This comes before the import of code that an older Node.js can't parse. npm only warns about `engines`.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`BackChannel needs Node.js 24 or newer, and this is ${process.versions.node}.`);
  process.exit(1);
}
// The cache is next to the code. In the shared temporary folder, another user could plant code for this process to run.
module.enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'));
const { run } = await import('./run.ts');

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    // The reader of the output may stop early (`| head -1`). That is not an error.
    if (code === 'EPIPE') process.exit();
    if (stream === process.stdout) console.error(`backchannel: cannot write the result (${code})`);
    process.exit(1);
  });
}

const { env, stdin, stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), { env, root: null, cwd: process.cwd(), stdin, stdout, stderr });
