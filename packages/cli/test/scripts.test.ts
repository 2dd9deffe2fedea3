// The package scripts as pnpm runs them: through `sh`, what was typed after the name put at the end, `--` and all.
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
  test('hashes its argument, on one line', async () => {
    const { stdout, exitCode } = await script(folder, 'hash', 'admin123');
    expect(stdout).toMatch(/^\$2b\$12\$\S{53}\n$/);
    expect(await verifyPassword('admin123', stdout.trim())).toBe(true);
    expect(exitCode).toBe(0);
  });

  test.each(['--base64 --cost 10 x', '-- --base64 --cost 10 x'])('takes options: %s', async (words) => {
    const { stdout } = await script(folder, 'hash', words);
    expect(stdout).toMatch(/^[A-Za-z0-9+/]{80}\n$/);
    expect(await verifyPassword('x', Buffer.from(stdout, 'base64').toString())).toBe(true);
  });

  test.each(['-- -x', '--cost 10 -- -x'])('takes a password that begins with a dash: %s', async (words) => {
    expect(await verifyPassword('-x', (await script(folder, 'hash', words)).stdout.trim())).toBe(true);
  });

  test('hash-master takes options too', async () => {
    const { stdout } = await script(folder, 'hash-master', '-- --env --base64 --cost 10');
    expect(stdout).toMatch(/^MASTER_PASSWORD_HASH=[A-Za-z0-9+/]{80}\n$/);
  });
});

test('pnpm --filter cli backchannel runs any command', async () => {
  for (const words of ['--version', '-- --version']) {
    expect((await script('packages/cli', 'backchannel', words)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  }
});

test('verify takes its argument after -- for a password, whatever it looks like', async () => {
  for (const words of ['verify -- --help', '-- verify -- --help']) {
    const { stdout, exitCode } = await script('packages/cli', 'backchannel', words);
    expect({ stdout, exitCode }).toEqual({ stdout: 'wrong\n', exitCode: 1 });
  }
});

test('no script bears the name of a pnpm command, but those that pnpm runs as scripts', () => {
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

/** `pnpm help -a` of pnpm 12 with the aliases, without start and test, which run the scripts of these names. */
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
