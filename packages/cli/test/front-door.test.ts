// `./backchannel`, the script in the checkout's root: from any folder, through links, with any arguments, without a network.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { checkout, hasTerminal, openTerminal, repository } from './run.ts';

const run = promisify(execFile);

const home = checkout({ '.env': 'MASTER_PASSWORD="it\'s a long horse"\n' });
afterAll(() => home[Symbol.dispose]());
const script = join(home.root, 'backchannel');
cpSync(join(repository, 'backchannel'), script);
// The Node of the checkout. Nothing else is on the PATH but what sh has.
mkdirSync(join(home.root, 'node_modules/.bin'), { recursive: true });
symlinkSync(process.execPath, join(home.root, 'node_modules/.bin/node'));
const env = { PATH: '/usr/bin:/bin', HOME: home.root };

/** Runs the script, by any of its paths, with nothing on stdin. */
async function call(args: readonly string[], { path = script, cwd = home.root, input = '' } = {}) {
  const running = run(path, [...args], { cwd, env });
  running.child.stdin?.end(input);
  const done = await running.catch((error) => error as { stdout: string; stderr: string; code: number });
  return { stdout: done.stdout, stderr: done.stderr, exitCode: 'code' in done ? Number(done.code) : 0 };
}

test('the script can be executed as git checks it out', async () => {
  expect(statSync(join(repository, 'backchannel')).mode & 0o111).toBe(0o111);
  const { stdout } = await run('git', ['ls-files', '--stage', 'backchannel'], { cwd: repository });
  expect(stdout).toMatch(/^100755 /);
  expect(readFileSync(join(repository, 'backchannel.cmd'), 'utf8')).not.toMatch(/[^\r]\n/);
});

describe('it runs the command line with the checkout’s own Node', () => {
  test('from any folder, whose files it takes, with .env from the checkout', async () => {
    mkdirSync(join(home.root, 'else where'));
    const cwd = join(home.root, 'else where');
    for (const path of [script, '../backchannel']) {
      expect(await call(['verify'], { path, cwd, input: "it's a long horse\n" })).toEqual({
        stdout: 'right\n',
        stderr: 'Checked against MASTER_PASSWORD.\n',
        exitCode: 0,
      });
    }
  });

  test('through a chain of links, absolute and relative', async () => {
    const bin = join(home.root, 'a bin');
    mkdirSync(bin);
    symlinkSync(script, join(bin, 'absolute'));
    symlinkSync('absolute', join(bin, 'relative'));
    symlinkSync('../backchannel', join(bin, 'up'));
    for (const name of ['absolute', 'relative', 'up']) {
      expect((await call(['--version'], { path: join(bin, name), cwd: '/' })).stdout, name).toMatch(
        /^\d+\.\d+\.\d+\n$/,
      );
    }
  });

  test.each(['two words', '', "it's", '"', '$HOME', '`x`', '*', '\\', '-- -x', 'a\nb', '🔑'])(
    'and hands it each argument as it is: %j',
    async (word) => {
      const { stderr, exitCode } = await call([word, 'more']);
      expect(exitCode).toBe(2);
      // The command line repeats an unknown command in its error.
      expect(stderr).toContain(word === '' ? "''" : word === 'a\nb' ? 'a\\n' : word.slice(0, 1));
    },
  );

  test('and ends with its exit code: 0, 1 and 2', async () => {
    const codes = [await call(['help']), await call(['verify'], { input: 'wrong\n' }), await call(['nothing'])];
    expect(codes.map(({ exitCode }) => exitCode)).toEqual([0, 1, 2]);
  });

  test('and takes its place, so that a signal reaches it', async () => {
    const child = spawn(script, ['hash', '--cost', '10'], { env });
    // It waits for the password.
    await once(child, 'spawn');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
  });

  test.skipIf(!hasTerminal)('and leaves it the terminal', async () => {
    using terminal = openTerminal(`${script} hash --cost 10`, { cwd: home.root });
    await terminal.waitFor('Password: ');
    terminal.type('a good long password\r');
    await terminal.waitFor('Repeat the password: ');
    terminal.type('a good long password\r');
    expect(await terminal.ended()).toMatchObject({ screen: expect.stringContaining('$2b$10$'), exitCode: 0 });
  });
});

test('before anything is installed, it says what to run', async () => {
  const bare = join(home.root, 'bare');
  mkdirSync(bare);
  cpSync(join(repository, 'backchannel'), join(bare, 'backchannel'));
  chmodSync(join(bare, 'backchannel'), 0o755);
  expect(await call(['hash', 'x'], { path: join(bare, 'backchannel') })).toEqual({
    stdout: '',
    stderr: `backchannel: nothing is installed in ${bare}. Run this there once: npx -y pnpm@12 install\n`,
    exitCode: 1,
  });
});

test('no page, message or script runs npx without -y, with which it never asks', async () => {
  const { stdout } = await run('git', ['grep', '-nIE', '\\bnpx ', '--', '.', ':!*pnpm-lock.yaml'], { cwd: repository });
  const asking = stdout
    .split('\n')
    .filter((line) => /\bnpx (?!-y )(?:-\S+ )*(?:pnpm|backchannel|openapi|@)/.test(line));
  expect(asking).toEqual([]);
});
