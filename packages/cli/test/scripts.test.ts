// The package scripts as pnpm runs them: through `sh`, with the arguments at the end, `--` included.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyPassword } from '@backchannel/server/password';
import { afterAll, describe, expect, test } from 'vitest';
import { checkout, repository } from './run.ts';

const home = checkout();
afterAll(() => home[Symbol.dispose]());

/** `pnpm NAME WORDS…` in a folder of the checkout. */
function script(folder: string, name: string, words: string) {
  const { scripts } = JSON.parse(readFileSync(join(home.root, folder, 'package.json'), 'utf8'));
  return home.shell(`cd ${join(home.root, folder)} && ${scripts[name]} ${words}`);
}

describe.each([
  ['pnpm hash', '.'],
  ['pnpm --filter cli hash', 'packages/cli'],
])('%s', (_, folder) => {
  test('hashes its argument, and takes options after -- as well', async () => {
    const { stdout, stderr, exitCode } = await script(folder, 'hash', '-- --base64 --cost 10 x');
    expect(await verifyPassword('x', Buffer.from(stdout, 'base64').toString())).toBe(true);
    expect({ stderr: stderr.split('\n').length, exitCode }).toEqual({ stderr: 3, exitCode: 0 });
  });

  test('hash-master takes options too', async () => {
    const { stdout } = await script(folder, 'hash-master', '-- --env --base64 --cost 10');
    expect(stdout).toMatch(/^MASTER_PASSWORD_HASH=[A-Za-z0-9+/]{80}\n$/);
  });

  test('backchannel runs any command, and passes on its exit code', async () => {
    const { stdout, exitCode } = await script(folder, 'backchannel', '-- verify -- --help');
    expect({ stdout, exitCode }).toEqual({ stdout: 'wrong\n', exitCode: 1 });
  });
});

describe('the words after the name of a script', () => {
  const hash = (words: string) => home.run(['hash', '--via-pnpm', ...words.split(' ')]);

  test.each(['--base64 --cost 10 x', '-- --base64 --cost 10 x'])('may be options: %s', async (words) => {
    const { stdout } = await hash(words);
    expect(await verifyPassword('x', Buffer.from(stdout, 'base64').toString())).toBe(true);
  });

  test.each(['-- -x', '--json -- -x'])('may be a password that begins with a dash: %s', async (words) => {
    const { stdout } = await home.run(['verify', '--via-pnpm', ...words.split(' ')], {
      env: { MASTER_PASSWORD: '-x' },
    });
    expect(stdout).toMatch(/^(?:right\n$|\{"right":true,)/);
  });

  test.each(['--version', '-- --version'])('may be an option without a command: %s', async (words) => {
    const { stdout } = await home.run(['--via-pnpm', ...words.split(' ')]);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each(['verify -- --help', '-- verify -- --help'])('may be another command: %s', async (words) => {
    const { stdout, exitCode } = await home.run(['--via-pnpm', ...words.split(' ')]);
    expect({ stdout, exitCode }).toEqual({ stdout: 'wrong\n', exitCode: 1 });
  });
});

test('no script has the name of a pnpm command, except those that pnpm runs as scripts', () => {
  const manifests = [
    'package.json',
    ...globSync(['packages/*/package.json', 'e2e/package.json', 'bench/package.json'], { cwd: repository }),
  ];
  const taken = manifests.flatMap((path) => {
    const { scripts = {} } = JSON.parse(readFileSync(join(repository, path), 'utf8'));
    return Object.keys(scripts)
      .filter((name) => pnpmCommands.has(name))
      .map((name) => `${path}: ${name}`);
  });
  expect(manifests.length).toBeGreaterThan(3);
  expect(taken).toEqual([]);
});

/** The output of `pnpm help -a` of pnpm 12 with the aliases, without start and test, which run the scripts of these names. */
const pnpmCommands = new Set(
  `access init recursive multi m add install i install-test it update up upgrade outdated audit change version lane bugs
   issues list ls ll la licenses licences fund why view info show v sbom whoami deprecate undeprecate unpublish star
   unstar stars dist-tag dist-tags ping doctor search s se find rebuild rb pack publish stage remove uninstall rm un uni
   patch patch-commit patch-remove peers set-script ss t tst run run-script tasks pipeline exec dlx create completion
   stop restart find-hash runtime rt env shim bin clean purge ci clean-install ic install-clean root prefix config c get
   set pkg pack-app store cache cat-file cat-index ignored-builds approve-builds permissions approve link ln import
   dedupe deploy prune fetch unlink dislink docs home repo self-update setup login adduser team owner owners logout with
   edit profile token xmas help pm server`.split(/\s+/),
);
