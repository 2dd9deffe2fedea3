// `hash-master`, `verify` and `secret`: how they use the configuration, and their messages.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@backchannel/server/config';
import { hashForms, hashPassword, verifyPassword } from '@backchannel/server/password';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeHome } from './run.ts';

const password = 'correct horse battery';
let hash: string;
beforeAll(async () => {
  hash = await hashPassword(password, { cost: 10 });
});

const home = makeHome();
afterAll(() => home[Symbol.dispose]());
const writeEnv = (text: string) => writeFileSync(join(home.root, '.env'), text);
beforeEach(() => writeEnv(''));

const nowhere = { HOST: '0.0.0.0', PUBLIC_URL: 'http://nas:8000' };

describe('hash-master', () => {
  test('prints the hash of MASTER_PASSWORD, at the configured cost', async () => {
    writeEnv(`MASTER_PASSWORD='${password}'\nBCRYPT_COST=11\n`);
    const { stdout, stderr, exitCode } = await home.run(['hash-master']);
    expect(stdout).toMatch(/^\$2b\$11\$\S{53}\n$/);
    expect(await verifyPassword(password, stdout.trim())).toBe(true);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect((await home.run(['hash-master', '--cost', '10'])).stdout).toMatch(/^\$2b\$10\$/);
  });

  test('prints an --env line that replaces the plain password', async () => {
    writeEnv(`MASTER_PASSWORD='${password}'\n`);
    const { stdout } = await home.run(['hash-master', '--env', '--cost', '10']);
    writeEnv(stdout);
    expect(loadConfig({ env: {}, root: home.root }).password.from).toBe('MASTER_PASSWORD_HASH');
    expect((await home.run(['verify'], { input: password })).stdout).toBe('right\n');
  });

  test('prefers the environment to the file, and warns about a short password', async () => {
    writeEnv(`MASTER_PASSWORD='${password}'\n`);
    const { stdout, stderr } = await home.run(['hash-master', '--cost', '10'], { env: { MASTER_PASSWORD: 'short' } });
    expect(await verifyPassword('short', stdout.trim())).toBe(true);
    expect(stderr).toMatch(/^The password has 5 characters/);
  });

  test('prints a configured hash unchanged, and says so', async () => {
    writeEnv(`${hashForms(hash).env}\nMASTER_PASSWORD=ignored\n`);
    const { stdout, stderr, exitCode } = await home.run(['hash-master', '--cost', '12']);
    expect({ stdout, exitCode }).toEqual({ stdout: `${hash}\n`, exitCode: 0 });
    expect(stderr).toMatch(/^MASTER_PASSWORD_HASH is already set[^\n]+\nThe cost of a hash cannot change[^\n]+\n$/);
    expect((await home.run(['hash-master', '--base64'])).stdout).toBe(`${hashForms(hash).base64}\n`);
  });

  test('hashes the built-in password if it is in effect, with a loud warning', async () => {
    const { stdout, stderr, exitCode } = await home.run(['hash-master', '--cost', '10']);
    expect(await verifyPassword('admin123', stdout.trim())).toBe(true);
    expect(stderr).toMatch(/^WARNING: no master password is set\./);
    expect(exitCode).toBe(0);
  });

  test('has nothing to hash if the built-in password is not in effect', async () => {
    const { stdout, stderr, exitCode } = await home.run(['hash-master'], { env: nowhere });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(
      /^There is no password to hash: neither MASTER_PASSWORD nor MASTER_PASSWORD_HASH is set\.\n$/,
    );
  });

  test('prints every problem of a faulty configuration', async () => {
    writeEnv('PORT=http\n');
    const { stdout, stderr, exitCode } = await home.run(['hash-master'], { env: { DOCS: 'private' } });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^PORT: [^\n]+\nDOCS: [^\n]+\n$/);
  });

  test('prints the hash of the password in the database, and not that of the built-in one', async () => {
    const env = { DATA_DIR: join(home.root, 'kept'), BCRYPT_COST: '10' };
    expect((await home.run(['password', 'set'], { input: password, env })).exitCode).toBe(0);
    const { stdout, stderr, exitCode } = await home.run(['hash-master'], { env });
    expect(await verifyPassword(password, stdout.trim())).toBe(true);
    expect({ stderr, exitCode }).toEqual({
      stderr: 'This is the hash of the password in the database.\n',
      exitCode: 0,
    });
  });
});

describe('verify', () => {
  test.each(['hash', 'base64', 'plain'])('distinguishes right from wrong: %s', async (form) => {
    const line = { hash: hashForms(hash).env, base64: `MASTER_PASSWORD_HASH=${hashForms(hash).base64}` }[form];
    writeEnv(line ?? `MASTER_PASSWORD='${password}'`);
    const origin = line ? 'MASTER_PASSWORD_HASH' : 'MASTER_PASSWORD';
    const stderr = `Checked against ${origin}.\n`;
    expect(await home.run(['verify'], { input: `${password}\n` })).toEqual({ stdout: 'right\n', stderr, exitCode: 0 });
    expect(await home.run(['verify'], { input: password.replace('y', 'i') })).toEqual({
      stdout: 'wrong\n',
      stderr,
      exitCode: 1,
    });
    const { stdout, exitCode } = await home.run(['verify', '--json'], { input: 'wrong' });
    expect(JSON.parse(stdout)).toEqual({ right: false, origin, warnings: [stderr.trim()] });
    expect(exitCode).toBe(1);
  });

  test('takes an argument, and warns that it stays in the history', async () => {
    writeEnv(`MASTER_PASSWORD='${password}'\n`);
    const { stdout, stderr, exitCode } = await home.run(['verify', password]);
    expect({ stdout, exitCode }).toEqual({ stdout: 'right\n', exitCode: 0 });
    expect(stderr).toMatch(/history/);
  });

  test('reports a password that bcrypt would truncate as bad usage, not as wrong', async () => {
    writeEnv(hashForms(hash).env);
    expect((await home.run(['verify'], { input: 'x'.repeat(73) })).exitCode).toBe(2);
  });

  test('checks the built-in password if it is certainly in effect', async () => {
    const { stdout, stderr } = await home.run(['verify'], { input: 'admin123' });
    expect(stdout).toBe('right\n');
    expect(stderr).toMatch(/built-in admin123/);
  });

  test('has nothing to check against before the first start generates a password', async () => {
    const first = await home.run(['verify', 'admin123'], { env: nowhere });
    expect(first).toMatchObject({ stdout: '', exitCode: 1 });
    expect(first.stderr).toMatch(/generates a password at its first start and shows it once\.\n$/);
  });
});

describe('secret', () => {
  test('prints a different key each time, which the configuration accepts', async () => {
    const runs = await Promise.all([home.run(['secret']), home.run(['secret'])]);
    expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(2);
    for (const { stdout, stderr, exitCode } of runs) {
      expect(stdout).toMatch(/^[\w-]{43}\n$/);
      expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    }
  });

  test('prints a line that the configuration reads with --env, and an object with --json', async () => {
    const line = (await home.run(['secret', '--env'])).stdout;
    writeEnv(line);
    expect(line).toBe(`SECRET_KEY=${loadConfig({ env: {}, root: home.root }).secretKeys?.[0]}\n`);
    const { secret, env, ...rest } = JSON.parse((await home.run(['secret', '--json'])).stdout);
    expect(env).toBe(`SECRET_KEY=${secret}`);
    expect(rest).toEqual({});
  });
});
