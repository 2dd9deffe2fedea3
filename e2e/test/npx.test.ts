// The lines that begin with npx, as npm 10 and later run them on a machine where pnpm has never been fetched: a redirected stdout
// has the result and nothing else, with a terminal and without one. npm 11 asks on stdout before it fetches.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasTerminal } from '../../packages/cli/test/run.ts';
import { amountOf } from '../../packages/server/test/support/amount.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const isLong = amountOf({ sample: 0, long: 1 }) === 1;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backchannel-npx-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The command that runs the npx of an npm. */
async function npxOf(version: string): Promise<string> {
  if (version === "the machine's npm") return 'npx';
  const prefix = join(folder, version);
  if (!existsSync(prefix)) {
    const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
    await run('npm', ['install', ...options, '--prefix', prefix, version]);
  }
  return `${process.execPath} ${join(prefix, 'node_modules/npm/bin/npx-cli.js')}`;
}

describe.each(isLong ? ['npm@10', 'npm@11', 'npm@latest'] : ["the machine's npm"])('with %s', (version) => {
  test.each(hasTerminal ? ['without a terminal', 'at a terminal'] : ['without a terminal'])('%s', async (where) => {
    const npx = await npxOf(version);
    const name = `${version.replace(/\W/g, '-')}-${where.length}`;
    const out = join(folder, `${name}.txt`);
    // Empty, so that npx has to fetch pnpm.
    const settings = `npm_config_cache=${join(folder, `${name}-cache`)} npm_config_yes= CI=`;
    const line = `cd ${root} && ${settings} ${npx} -y pnpm@12 hash --cost 10 admin123 > ${out}`;
    const { PATH = '', ...others } = process.env;
    const env = { ...others, SHELL: '/bin/sh', PATH: `${dirname(process.execPath)}:${PATH}` };
    const [program, args] =
      where === 'at a terminal'
        ? (['script', ['--quiet', '--return', '--command', line, '/dev/null']] as const)
        : (['sh', ['-c', line]] as const);
    // Nobody answers. A question would be on the screen, or in the file.
    const running = run(program, [...args], { env });
    running.child.stdin?.end();
    expect((await running).stdout).not.toMatch(/proceed/);
    expect(await readFile(out, 'utf8')).toMatch(/^\$2b\$10\$\S{53}\n$/);
  });
});
