// `hash`: its output formats, the passwords that it accepts, and how little it loads.
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

describe('the output', () => {
  test('is one line with a valid hash of cost 12', async () => {
    const { stdout, exitCode } = await home.run(['hash', 'admin123']);
    expect(stdout).toMatch(bcryptLine);
    expect(stdout).toMatch(/^\$2b\$12\$/);
    expect(await verifyPassword('admin123', stdout.trim())).toBe(true);
    expect(exitCode).toBe(0);
  });

  test('has the requested cost', async () => {
    expect((await home.run(['hash', 'x', '--cost=10'])).stdout).toMatch(/^\$2b\$10\$/);
  });

  test.each(['9', '21', '12.0', '0x0b', 'ten', '', '-11'])('a cost of %j is rejected', async (cost) => {
    const { stdout, stderr, exitCode } = await home.run(['hash', `--cost=${cost}`, 'x']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(/^backchannel: --cost [^\n]+\n$/);
  });

  test('--base64 prints a format that shells and Docker Compose leave unchanged', async () => {
    const { stdout } = await home.run(['hash', '--base64', '--cost', '10', password]);
    expect(stdout).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
    expect(await verifyPassword(password, Buffer.from(stdout, 'base64').toString())).toBe(true);
  });

  test.each(['--env', '--env --base64'])('the configuration reads the line of %s', async (forms) => {
    const { stdout } = await home.run(['hash', ...forms.split(' '), '--cost', '10', password]);
    expect(stdout).toMatch(/^MASTER_PASSWORD_HASH=[^\n]+\n$/);
    expect(stdout.includes('$')).toBe(!forms.includes('--base64'));
    using root = makeHome({ '.env': stdout });
    const found = loadConfig({ env: {}, root: root.root }).password;
    expect(found.from).toBe('MASTER_PASSWORD_HASH');
    expect(await verifyPassword(password, 'hash' in found ? found.hash : '')).toBe(true);
  });

  test('a shell reads the line of --env', async () => {
    const { stdout } = await home.run(['hash', '--env', '--cost', '10', password]);
    writeFileSync(join(home.root, 'line.env'), stdout);
    const line = '. ./line.env && printf %s "$MASTER_PASSWORD_HASH"';
    expect(await verifyPassword(password, execFileSync('sh', ['-c', line], { cwd: home.root, encoding: 'utf8' }))).toBe(
      true,
    );
  });

  test('--json prints one object with every format and the advice, and nothing else', async () => {
    const { stdout, stderr } = await home.run(['hash', '--json', '--cost', '10', 'hunter22']);
    const { hash, base64, env, warnings, ...rest } = JSON.parse(stdout);
    expect(await verifyPassword('hunter22', hash)).toBe(true);
    expect(Buffer.from(base64, 'base64').toString()).toBe(hash);
    expect(env).toBe(`MASTER_PASSWORD_HASH='${hash}'`);
    expect(warnings).toEqual([expect.stringMatching(/8 characters/), expect.stringMatching(/history/)]);
    expect({ rest, stderr }).toEqual({ rest: {}, stderr: '' });
  });

  test('--json with another format is rejected', async () => {
    const { stdout, exitCode } = await home.run(['hash', '--json', '--env', 'x']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
  });
});

describe('as a process', () => {
  // `hash` must not load anything else: bcrypt, the list of common passwords, and what finds typos in a command line.
  const bare = checkout(
    {},
    { serverPackages: ['@node-rs/bcrypt', '@zxcvbn-ts/language-common', 'fastest-levenshtein'] },
  );
  afterAll(() => bare[Symbol.dispose]());

  test('loads only bcrypt and two small packages, and reads its pipe', async () => {
    const { stdout, stderr, exitCode } = await bare.spawn(['hash', '--cost', '10'], { input: `${password}\n` });
    expect(await verifyPassword(password, stdout.trim())).toBe(true);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });

  test('an endless pipe gives one line on stderr and exit code 2, and is not repeated', async () => {
    const { stdout, stderr, exitCode } = await bare.spawn(['hash'], { input: 'secretly'.repeat(100_000) });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(/^backchannel: [^\n]+bytes long[^\n]+\n$/);
    expect(stderr).not.toContain('secretly');
  });

  test('output that nobody reads is not an error', async () => {
    const child = spawn(process.execPath, [bare.bin, 'hash', '--cost', '10'], { env: environment });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    // The hash is printed only after the reader is gone.
    child.stdout.destroy();
    await once(child.stdout, 'close');
    child.stdin.end(password);
    const [exitCode] = await once(child, 'close');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  });

  test.skipIf(!existsSync('/dev/full'))('a full disk gives one line on stderr and exit code 1', async () => {
    const { stderr, exitCode } = await bare.shell(`node ${bare.bin} hash --cost 10 > /dev/full`, { input: password });
    expect({ stderr, exitCode }).toEqual({
      stderr: 'backchannel: cannot write the result (ENOSPC)\n',
      exitCode: 1,
    });
  });
});

describe('advice', () => {
  test('a short password is hashed, with a warning on stderr', async () => {
    const { stdout, stderr, exitCode } = await home.run(['hash', '--cost', '10'], { input: 'fourteen chars' });
    expect(stdout).toMatch(bcryptLine);
    expect(stderr).toMatch(/^The password has 14 characters;[^\n]+\n$/);
    expect(exitCode).toBe(0);
  });

  test('an argument gets the warning that it stays in the history', async () => {
    const { stderr } = await home.run(['hash', '--cost', '10', password]);
    expect(stderr).toMatch(/^A password as an argument stays in the shell history[^\n]+\n$/);
  });

  test.each([
    [`${password} \r\n`, /begins or ends with a space/],
    [`${password}\n\n`, /line break/],
  ])('%j is hashed unchanged, with a warning', async (input, word) => {
    const { stdout, stderr } = await home.run(['hash', '--cost', '10'], { input });
    expect(stdout).toMatch(bcryptLine);
    expect(stderr).toMatch(word);
  });
});

describe('the password', () => {
  // `verify` reads its password in the same way as `hash`, and comparing it with a plain one is fast.
  test.each([
    ['without a line break', 'pw', 'pw'],
    ['with a line break, which is dropped', 'pw\n', 'pw'],
    ['with a Windows line break, which is dropped', 'pw\r\n', 'pw'],
    ['with spaces, which are kept', ' p w \n', ' p w '],
    ['in any script', 'пароль-密码-🔑-é\n', 'пароль-密码-🔑-é'],
    ['with a byte order mark, which is dropped', '\uFEFFpw\n', 'pw'],
    ['of 72 bytes', 'ä'.repeat(36), 'ä'.repeat(36)],
  ])('comes from a pipe %s', async (_, input, meant) => {
    const { stdout } = await home.run(['verify'], { input, env: { MASTER_PASSWORD: meant } });
    expect(stdout).toBe('right\n');
  });

  test('comes from the argument, even if there is a pipe too', async () => {
    const { stdout } = await home.run(['verify', 'argument'], { input: 'pipe', env: { MASTER_PASSWORD: 'argument' } });
    expect(stdout).toBe('right\n');
  });

  test('may begin with a dash after --, even if it is the name of an option', async () => {
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
  ])('a pipe %s is rejected, and not repeated', async (_, input, reason) => {
    const { stdout, stderr, exitCode } = await home.run(['hash'], { input });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
    expect(stderr).toMatch(reason);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(stderr).not.toMatch(/secretly|ää/);
  });

  test.each(['', 'x'.repeat(73)])('the argument %j is rejected', async (argument) => {
    const { stdout, exitCode } = await home.run(['hash', argument]);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
  });
});
