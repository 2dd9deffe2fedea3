// Runs the lines of a page as a reader's shell would. It is a real bash, whose `./backchannel` runs in the process of the test.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { environment, type Home } from './run.ts';

const run = promisify(execFile);

export interface Shell extends AsyncDisposable {
  /** Runs the lines and returns their stdout. Exported variables are kept. Throws when a line fails. */
  run(code: string, env?: Record<string, string>): Promise<string>;
}

export const hasShell = await run('bash', ['-c', 'command -v curl'], { env: environment }).then(
  () => true,
  () => false,
);

/** Opens a shell in a home. It calls its commands over HTTP, and passes their arguments and streams in files. */
export async function openShell(home: Home): Promise<Shell> {
  const folder = join(home.root, 'shell');
  mkdirSync(folder);
  const read = (name: string) => readFileSync(join(folder, name));
  const wordsOf = (name: string) => read(name).toString().split('\0').slice(0, -1);
  const commands = createServer(async (_, res) => {
    const env = Object.fromEntries(wordsOf('env').map((line) => line.split(/=(.*)/s).slice(0, 2)));
    const { stdout, stderr, exitCode } = await home.run(wordsOf('args'), { env, input: read('input') });
    writeFileSync(join(folder, 'stdout'), stdout);
    writeFileSync(join(folder, 'stderr'), stderr);
    res.end(String(exitCode));
  });
  await new Promise<void>((done) => commands.listen(0, '127.0.0.1', done));
  const { port } = commands.address() as AddressInfo;
  writeFileSync(join(home.root, 'backchannel'), standIn(folder, `http://127.0.0.1:${port}`), { mode: 0o755 });
  let exported = '';
  return {
    run: async (code, env = {}) => {
      const script = [
        exported,
        'curl() { command curl --silent --show-error "$@"; echo; }',
        code,
        `export -p | grep BACKCHANNEL_ > ${folder}/exported || true`,
      ].join('\n');
      const options = { cwd: home.root, env: { ...environment, HOME: home.root, ...env } };
      const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', script], options).catch((error) => {
        throw new Error(`${code}\n${error.stdout}${error.stderr}`);
      });
      exported = read('exported').toString();
      return stdout;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((done) => commands.close(() => done())),
  };
}

/** A script in the place of the checkout's. A command without a pipe in front gets PASSWORD, as if someone typed it. */
const standIn = (folder: string, url: string) => `#!/bin/bash
printf '%s\\0' "$@" > ${folder}/args
if [ -p /dev/stdin ]; then cat; else echo "\${PASSWORD-}"; fi > ${folder}/input
env -0 > ${folder}/env
code=$(curl --silent --show-error --fail ${url})
cat ${folder}/stderr >&2
cat ${folder}/stdout
exit "$code"
`;
