// The hidden prompt: its keys, and what a real terminal shows and keeps.
import { verifyPassword } from '@backchannel/server/password';
import { afterAll, describe, expect, test } from 'vitest';
import { checkout, hasTerminal, openTerminal } from './run.ts';

const home = checkout({ '.env': "MASTER_PASSWORD='correct horse battery'\n" });
afterAll(() => home[Symbol.dispose]());

/** Answers the questions of `hash` with these keys. */
const type = (...typed: string[]) => home.run(['hash', '--cost', '10'], { typed });

describe('the keys', () => {
  test.each([
    ['characters of several bytes', 'pässwörd-密码-🔑\r', 'pässwörd-密码-🔑'],
    ['Backspace deletes the last character, accents included', 'pw🔑\u007fe\u0301\u007f👩‍👩‍👧\b!\r', 'pw!'],
    ['Backspace at the beginning does nothing', '\u007f\u007fpw\r', 'pw'],
    ['Ctrl-U clears the line', 'wrong\u0015right\r', 'right'],
    ['arrow and function keys are ignored', 'a\u001b[Db\u001b[1;5Cc\u001bOPd\u001b[3~\r', 'abcd'],
    ['a bracketed paste is the text between the brackets', '\u001b[200~a[b\u001b[201~\r', 'a[b'],
    ['other control keys are ignored', 'a\tb\u0000c\u001ad\r', 'abcd'],
    ['a Windows line break ends the line once', 'pw\r\n', 'pw'],
  ])('%s', async (_, keys, meant) => {
    const { stdout, stderr } = await home.run(['verify'], { typed: [keys], env: { MASTER_PASSWORD: meant } });
    expect(stdout).toBe('right\n');
    expect(stderr).toBe('Password: \nChecked against MASTER_PASSWORD.\n');
  });

  test('both answers may be pasted together', async () => {
    const { stdout, stderr } = await type('pw\rpw\r');
    expect(await verifyPassword('pw', stdout.trim())).toBe(true);
    expect(stderr).toMatch(/^Password: \nRepeat the password: \n/);
  });

  test('two different answers are rejected, and nothing is printed', async () => {
    const { stdout, stderr, exitCode } = await type('one\r', 'two\r');
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toContain('backchannel: the passwords do not match');
  });

  test.each([
    ['an empty one', '\r', /empty/],
    ['one of 73 bytes', `${'x'.repeat(73)}\r`, /73 bytes/],
    ['Ctrl-D', '\u0004', /empty/],
  ])('%s is rejected before the second question', async (_, keys, reason) => {
    const { stdout, stderr, exitCode } = await type(keys);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(reason);
    expect(stderr).not.toMatch(/again|xxx/);
  });

  test('verify asks once', async () => {
    const { stdout, stderr, exitCode } = await home.run(['verify'], { typed: ['correct horse batter\r'] });
    expect({ stdout, exitCode }).toEqual({ stdout: 'wrong\n', exitCode: 1 });
    expect(stderr).not.toMatch(/again:/);
  });
});

describe.skipIf(!hasTerminal)('at a terminal (skipped without `script` of util-linux)', () => {
  const hash = 'node packages/cli/src/main.ts hash --cost 10';
  const open = (line: string) => openTerminal(line, { cwd: home.root });
  /** The hash on the screen. Apart from it, only the questions and the advice may be there. */
  const hashOn = (screen: string) => screen.match(/^\$2b\$10\$\S{53}/m)?.[0] ?? '';

  test('the password is asked for twice and never echoed, even if its bytes arrive one by one', async () => {
    const typed = '密码🔑'.repeat(7);
    using terminal = open(hash);
    for (const question of ['Password: ', 'Repeat the password: ']) {
      await terminal.waitFor(question);
      for (const byte of Buffer.from(`${typed}\r`)) {
        terminal.type(Uint8Array.of(byte));
        await new Promise(setImmediate);
      }
    }
    const { screen, exitCode } = await terminal.ended();
    expect(await verifyPassword(typed, hashOn(screen))).toBe(true);
    expect(screen.replace(hashOn(screen), 'HASH')).toBe('Password: \r\nRepeat the password: \r\nHASH\r\n');
    expect(exitCode).toBe(0);
  });

  test('the questions go to stderr, and stdout has only the hash', async () => {
    using terminal = open(`${hash} > printed; wc -l < printed; cat printed`);
    for (const question of ['Password: ', 'Repeat the password: ']) {
      await terminal.waitFor(question);
      terminal.type('pw\r');
    }
    const { screen } = await terminal.ended();
    expect(screen).toMatch(/^1\r\n\$2b\$10\$/m);
  });

  test.each([
    ['Ctrl-C', 'half\u0003', 130],
    ['an answer', 'correct horse battery\r', 0],
  ])('after %s the terminal echoes again', async (_, keys, exitCode) => {
    using terminal = open('node packages/cli/src/main.ts verify; echo "code $?"; stty -a');
    await terminal.waitFor('Password: ');
    terminal.type(keys);
    const { screen } = await terminal.ended();
    expect(screen).toContain(`code ${exitCode}\r\n`);
    for (const mode of ['echo', 'icanon', 'isig', 'icrnl', 'opost'])
      expect(screen).toMatch(new RegExp(`(?:^| )${mode}\\b`, 'm'));
    expect(screen).not.toMatch(/half|Error|at file/);
  });

  test('SIGTERM restores the terminal, too', async () => {
    using terminal = open(`sh -c 'echo "process $$"; exec ${hash}'; stty -a`);
    const [, pid] = (await terminal.waitFor('Password: ')).match(/process (\d+)/) ?? [];
    process.kill(Number(pid), 'SIGTERM');
    const { screen } = await terminal.ended();
    expect(screen).toMatch(/(?:^| )echo\b/m);
    expect(screen).toMatch(/(?:^| )icanon\b/m);
  });
});
