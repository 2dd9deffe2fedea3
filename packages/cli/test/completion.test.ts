// The completion scripts in real shells: the candidates at each place, and the Tab key.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadCommands } from '../src/commands.ts';
import { loadProcedures } from '../src/remote/procedures.ts';
import { environment, hasTerminal, makeHome, openTerminal } from './run.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

const home = makeHome({ 'a file.txt': '' });
afterAll(() => home[Symbol.dispose]());
const { root: folder } = home;
const pathOf = (shell: Shell) => join(folder, `completion.${shell}`);
for (const shell of shells) writeFileSync(pathOf(shell), (await home.run(['completion', shell])).stdout);

const run = (shell: Shell, args: string[]) =>
  execFileSync(shell, args, { cwd: folder, env: { ...environment, HOME: folder }, encoding: 'utf8' });

/** The installed shells. The tests of the others are skipped, and their names say so. */
const isThere = (shell: Shell) => {
  try {
    return run(shell, ['-c', 'echo yes']) === 'yes\n';
  } catch {
    return false;
  }
};
const here = new Set(shells.filter(isThere));

const interactive: Record<Shell, string> = {
  bash: 'bash --norc -i',
  zsh: 'zsh -f -i',
  fish: 'fish --no-config -i',
};

/** The candidates of a shell for the last of these words. */
const offers: Record<Shell, (words: string[]) => string[]> = {
  bash: (words) =>
    lines(
      run('bash', [
        '--norc',
        '-c',
        `source ${pathOf('bash')}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _backchannel
         printf '%s\\n' "\${COMPREPLY[@]}"`,
        ...['bash', 'backchannel', ...words],
      ]),
    ),
  zsh: (words) =>
    lines(
      run('zsh', [
        '-f',
        '-c',
        `compdef() { :; }; _files() { print -l *; }; compadd() { shift; print -l -- "$@" | grep -e "^\${words[CURRENT]}"; }
         source ${pathOf('zsh')}; words=("$@"); CURRENT=$#; _backchannel`,
        ...['zsh', 'backchannel', ...words],
      ]),
    ),
  fish: (words) =>
    lines(run('fish', ['--no-config', '-c', `source ${pathOf('fish')}; complete -C "backchannel ${words.join(' ')}"`])),
};
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

describe.each(shells)('%s (skipped if it is not installed)', (shell) => {
  test.skipIf(!here.has(shell))('offers commands, procedures, options and their values', async () => {
    const commands = await loadCommands();
    const procedures = (await loadProcedures()).map(({ name }) => name);
    const cases: [words: string[], offered: string[]][] = [
      [['toke'], ['tokens']],
      [
        ['tokens', ''],
        ['list', 'create', 'revoke'],
      ],
      [
        ['tokens', 'create', '--scope', ''],
        ['read', 'full', 'proxy'],
      ],
      [['tokens', 'create', '--name', ''], []],
      [['tokens', 'create', '--name', 'x', '--sc'], ['--scope']],
      [
        ['events', '--type', 'token.'],
        ['token.created', 'token.revoked'],
      ],
      [['call', ''], procedures],
      [['call', 'auth.ev'], ['auth.events.list']],
      [['call', 'auth.me', '--pass'], ['--password']],
      [
        ['completion', ''],
        ['bash', 'zsh', 'fish'],
      ],
      [['help', 'sess'], ['sessions']],
      [
        ['help', 'tokens', ''],
        ['list', 'create', 'revoke'],
      ],
      [['help', 'hash', ''], []],
      [['-'], ['--help', '--version']],
      [
        ['nothing', 'x', ''],
        [...Object.keys(commands), 'help'],
      ],
      [['call', '--token-file', ''], expect.arrayContaining([expect.stringMatching(/^a\\? file\.txt$/)])],
    ];
    for (const [words, offered] of cases) {
      const found = offers[shell](words);
      // Fish sorts, and it receives options that it shows only after a dash.
      const visible = words.at(-1)?.startsWith('-') ? found : found.filter((each) => !each.startsWith('--'));
      expect([words, visible.sort()]).toEqual([words, Array.isArray(offered) ? offered.sort() : offered]);
    }
  });

  test.skipIf(!here.has(shell) || !hasTerminal)('completes at Tab', async () => {
    using terminal = openTerminal(`HOME=${folder} ${interactive[shell]}`, { cwd: folder });
    const begin = shell === 'zsh' ? 'autoload -Uz compinit; compinit -u -D; ' : '';
    // The terminal also echoes the typed text, which must not match.
    terminal.type(`${begin}source ${pathOf(shell)}; echo rea""dy\r`);
    await terminal.waitFor('ready');
    terminal.type('backchannel call auth.ev\t');
    await terminal.waitFor('ents.list');
    // Ctrl-U clears the line.
    terminal.type('\u0015exit\r');
    await terminal.ended();
  });
});

test('each script says how to load it', async () => {
  for (const shell of shells) {
    const { stdout } = await home.run(['completion', shell]);
    expect(stdout).toContain(`backchannel completion ${shell}`);
  }
});
