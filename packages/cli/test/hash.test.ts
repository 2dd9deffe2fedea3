// `hash`: what it prints in each form, what it takes for a password, and how little it needs to run.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@backchannel/server/config';
import { verifyPassword } from '@backchannel/server/password';
import { afterAll, describe, expect, test } from 'vitest';
import { checkout, environment, makeHome } from './run.ts';

const password = 'correct horse battery';
const bcryptLine = /^\$2b\$\d\d\$[./A-Za-z0-9]{53}\n$/;
const home = makeHome();
afterAll(() => home[Symbol.dispose]());

describe('what is printed', () => {
  test('one line, the hash at cost 12, which verifies', async () => {
    const { stdout, exitCode } = await home.run(['hash', 'admin123']);
    expect(stdout).toMatch(bcryptLine);
    expect(stdout).toMatch(/^\$2b\$12\$/);
    expect(await verifyPassword('admin123', stdout.trim())).toBe(true);
    expect(exitCode).toBe(0);
  });

  test('the cost is the one that was asked for', async () => {
    expect((await home.run(['hash', 'x', '--cost=10'])).stdout).toMatch(/^\$2b\$10\$/);
  });

  test.each(['9', '21', '12.0', '0x0b', 'ten', '', '-11'])('a cost of %j is refused', async (cost) => {
    const { stdout, stderr, exitCode } = await home.run(['hash', `--cost=${cost}`, 'x']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(/^backchannel: --cost [^\n]+\n$/);
  });

  test('--base64 prints a form that no shell and no Docker Compose changes', async () => {
    const { stdout } = await home.run(['hash', '--base64', '--cost', '10', password]);
    expect(stdout).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
    expect(await verifyPassword(password, Buffer.from(stdout, 'base64').toString())).toBe(true);
  });

  test.each(['--env', '--env --base64'])('the line of %s is read back by the configuration', async (forms) => {
    const { stdout } = await home.run(['hash', ...forms.split(' '), '--cost', '10', password]);
    expect(stdout).toMatch(/^MASTER_PASSWORD_HASH=[^\n]+\n$/);
    expect(stdout.includes('$')).toBe(!forms.includes('--base64'));
    using root = makeHome({ '.env': stdout });
    const found = loadConfig({ env: {}, root: root.root }).password;
    expect(found.from).toBe('MASTER_PASSWORD_HASH');
    expect(await verifyPassword(password, 'hash' in found ? found.hash : '')).toBe(true);
  });

  test('the line of --env is also what a shell reads', async () => {
    const { stdout } = await home.run(['hash', '--env', '--cost', '10', password]);
    writeFileSync(join(home.root, 'line.env'), stdout);
    const line = '. ./line.env && printf %s "$MASTER_PASSWORD_HASH"';
    expect(await verifyPassword(password, execFileSync('sh', ['-c', line], { cwd: home.root, encoding: 'utf8' }))).toBe(
      true,
    );
  });

  test('--json prints every form and the advice in one object, and nothing beside it', async () => {
    const { stdout, stderr } = await home.run(['hash', '--json', '--cost', '10', 'admin123']);
    const { hash, base64, env, warnings, ...rest } = JSON.parse(stdout);
    expect(await verifyPassword('admin123', hash)).toBe(true);
    expect(Buffer.from(base64, 'base64').toString()).toBe(hash);
    expect(env).toBe(`MASTER_PASSWORD_HASH='${hash}'`);
    expect(warnings).toEqual([expect.stringMatching(/8 characters/), expect.stringMatching(/history/)]);
    expect({ rest, stderr }).toEqual({ rest: {}, stderr: '' });
  });

  test('--json with another form is refused', async () => {
    const { stdout, exitCode } = await home.run(['hash', '--json', '--env', 'x']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
  });
});

describe('as a process', () => {
  // Only bcrypt, and what finds typos in a command line: `hash` must not load anything else.
  const bare = checkout({}, { serverPackages: ['@node-rs/bcrypt', 'fastest-levenshtein'] });
  afterAll(() => bare[Symbol.dispose]());

  test('it loads no package but bcrypt and the one that finds typos, and reads its pipe', async () => {
    const { stdout, stderr, exitCode } = await bare.spawn(['hash', '--cost', '10'], { input: `${password}\n` });
    expect(await verifyPassword(password, stdout.trim())).toBe(true);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });

  test('a pipe that does not end is one line on stderr and exit code 2, and is not repeated', async () => {
    const { stdout, stderr, exitCode } = await bare.spawn(['hash'], { input: 'secretly'.repeat(100_000) });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(/^backchannel: [^\n]+bytes long[^\n]+\n$/);
    expect(stderr).not.toContain('secretly');
  });

  test('nobody reading the output is no error', async () => {
    const child = spawn(process.execPath, [bare.bin, 'hash', '--cost', '10'], { env: environment });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    // It has something to print only when the reader is gone.
    child.stdout.destroy();
    await once(child.stdout, 'close');
    child.stdin.end(password);
    const [exitCode] = await once(child, 'close');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk is one line on stderr and exit code 1', async () => {
    const { stderr, exitCode } = await bare.shell(`node ${bare.bin} hash --cost 10 > /dev/full`, { input: password });
    expect({ stderr, exitCode }).toEqual({
      stderr: 'backchannel: cannot write the result (ENOSPC)\n',
      exitCode: 1,
    });
  });
});

describe('advice', () => {
  test('a short password is hashed, with a word about its length on stderr', async () => {
    const { stdout, stderr, exitCode } = await home.run(['hash', '--cost', '10'], { input: 'fourteen chars' });
    expect(stdout).toMatch(bcryptLine);
    expect(stderr).toMatch(/^The password has 14 characters;[^\n]+\n$/);
    expect(exitCode).toBe(0);
  });

  test('an argument is said to stay in the history', async () => {
    const { stderr } = await home.run(['hash', '--cost', '10', password]);
    expect(stderr).toMatch(/^A password as an argument stays in the shell history[^\n]+\n$/);
  });

  test.each([
    [`${password} \r\n`, /begins or ends with a space/],
    [`${password}\n\n`, /line break/],
  ])('%j is hashed as it is, with a word about it', async (input, word) => {
    const { stdout, stderr } = await home.run(['hash', '--cost', '10'], { input });
    expect(stdout).toMatch(bcryptLine);
    expect(stderr).toMatch(word);
  });
});

describe('what is taken for the password', () => {
  // `verify` reads its password as `hash` does, and compares it with a plain one at no cost.
  test.each([
    ['without a line break', 'pw', 'pw'],
    ['with a line break, which is dropped', 'pw\n', 'pw'],
    ['with a line break of Windows, which is dropped', 'pw\r\n', 'pw'],
    ['with two line breaks, of which one is dropped', 'pw\n\n', 'pw\n'],
    ['with spaces, which stay', ' p w \n', ' p w '],
    ['in any script', 'пароль-密码-🔑-é\n', 'пароль-密码-🔑-é'],
    ['with a byte order mark, which is dropped', '\uFEFFpw\n', 'pw'],
    ['of 72 bytes', 'ä'.repeat(36), 'ä'.repeat(36)],
  ])('a pipe %s', async (_, input, meant) => {
    const { stdout } = await home.run(['verify'], { input, env: { MASTER_PASSWORD: meant } });
    expect(stdout).toBe('right\n');
  });

  test('an argument, though something is piped in too', async () => {
    const { stdout } = await home.run(['verify', 'argument'], { input: 'pipe', env: { MASTER_PASSWORD: 'argument' } });
    expect(stdout).toBe('right\n');
  });

  test('an argument after -- may begin with a dash, and be the name of an option', async () => {
    for (const word of ['-secret', '--json', '--help', '--via-pnpm']) {
      const { stdout } = await home.run(['verify', '--', word], { env: { MASTER_PASSWORD: word } });
      expect(stdout, word).toBe('right\n');
    }
  });

  test.each([
    ['of 73 bytes', `${'ä'.repeat(36)}a`, /73 bytes/],
    ['with a NUL', 'secretly\0more', /NUL/],
    ['that is only a line break', '\n', /empty/],
    ['with nothing in it', '', /no password given\. Pipe one in/],
    ['that is not UTF-8', Uint8Array.of(0x73, 0xe4, 0x63), /UTF-8/],
  ])('a pipe %s is refused, and not repeated', async (_, input, reason) => {
    const { stdout, stderr, exitCode } = await home.run(['hash'], { input });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(reason);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(stderr).not.toMatch(/secretly|ää/);
  });

  test.each(['', 'x'.repeat(73)])('the argument %j is refused', async (argument) => {
    const { stdout, exitCode } = await home.run(['hash', argument]);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
  });
});
