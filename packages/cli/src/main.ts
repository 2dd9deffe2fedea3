#!/usr/bin/env node
// The bin: picks the command, prints what it returns and sets the exit code. It knows no command but by its name.
import * as module from 'node:module';
import { join } from 'node:path';

// Before anything that an older one cannot even read. npm only warns of `engines`.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`BackChannel needs Node.js 24 or newer, and this is ${process.versions.node}.`);
  process.exit(1);
}
// Beside the code, not in the shared temporary folder, where another user could lay code ready for us to run.
module.enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/compile'));
const [{ runCommand }, { Failure }] = await Promise.all([import('./commands.ts'), import('./failure.ts')]);

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    // Whoever reads our output may stop early (`| head -1`); that is no error of ours.
    if (code === 'EPIPE') process.exit();
    if (stream === process.stdout) console.error(`backchannel: the result cannot be written (${code})`);
    process.exit(1);
  });
}

try {
  const { stdout, stderr, exitCode } = await runCommand(process.argv.slice(2));
  process.exitCode = exitCode;
  if (stderr.length > 0) process.stderr.write(`${stderr.join('\n')}\n`);
  if (stdout !== '') process.stdout.write(`${stdout}\n`);
} catch (error) {
  const isTold = error instanceof Failure;
  process.exitCode = isTold ? error.exitCode : 1;
  const text = isTold ? error.message : String(error instanceof Error ? error.stack : error);
  if (text !== '') process.stderr.write(`${text}\n`);
}
