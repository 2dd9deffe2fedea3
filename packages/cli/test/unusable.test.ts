// Databases on which the tools can't or must not work: missing, owned by someone else, damaged. Each gives one sentence.
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { openStore } from '@backchannel/server/store';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { makeHome } from './run.ts';

const home = makeHome({ '.env': 'BCRYPT_COST=10\n' });
const data = join(home.root, 'data');
const file = join(data, 'backchannel.db');
afterAll(() => home[Symbol.dispose]());
beforeEach(() => rmSync(data, { recursive: true, force: true }));

const commands = [
  ['sessions', 'list'],
  ['sessions', 'revoke', '--all'],
  ['tokens', 'list'],
  ['tokens', 'create', '--name', 'x', '--scope', 'read'],
  ['tokens', 'revoke', 'x'],
  ['events'],
  ['throttle', 'list'],
  ['throttle', 'clear', '--all'],
];
const set = ['password', 'set'];

/** Expects exit code 1 and a sentence, and returns the sentence. */
async function refused(
  args: string[],
  options: { env?: Record<string, string>; input?: string } = {},
): Promise<string> {
  const { stdout, stderr, exitCode } = await home.run(args, { input: 'the long password', ...options });
  expect({ stdout, exitCode }, stderr).toEqual({ stdout: '', exitCode: 1 });
  expect(stderr).toMatch(/^[^\n]+\n$/);
  return stderr.trimEnd();
}

const makeDatabase = async () => (await openStore({ engine: 'sqlite', file }))[Symbol.asyncDispose]();

test('a missing database gives one sentence, and none is created', async () => {
  for (const args of commands) {
    expect(await refused(args)).toBe(`There is no database at ${file} yet. Start the server first.`);
  }
  expect(existsSync(data)).toBe(false);
});

test('a faulty configuration is reported as by the server', async () => {
  for (const args of [['sessions', 'list'], set]) {
    expect(await refused(args, { env: { PORT: 'http' } })).toMatch(/^PORT: /);
  }
});

describe('a database that is not one', () => {
  test.each([
    ['another kind of file', () => writeFileSync(file, 'k'.repeat(4096)), /^The database .* file is not a database\.$/],
    ['a folder', () => mkdirSync(file), /^database: .* is not a file; /],
  ])('%s', async (_, make, message) => {
    mkdirSync(data, { mode: 0o700 });
    make();
    for (const args of [['sessions', 'list'], set, ['verify']]) expect(await refused(args)).toMatch(message);
  });
});

describe.skipIf(process.getuid?.() !== 0)('as root (skipped for other users)', () => {
  const nobody = 65_534;

  test.each([
    ['a data folder of another user', nobody, nobody, 'sudo -u nobody ./backchannel …'],
    ['a user without a name', 54_321, 54_321, "sudo -u '#54321' ./backchannel …"],
    ['a folder of root, in which another user writes', 0, nobody, 'sudo -u nobody ./backchannel …'],
    ['a folder of another user, in which root has been', nobody, 0, 'sudo -u nobody ./backchannel …'],
  ])('%s is left unchanged, with the command to run instead', async (_, folderUid, fileUid, line) => {
    await makeDatabase();
    chownSync(file, fileUid, fileUid);
    chownSync(data, folderUid, folderUid);
    const before = [readdirSync(data), statSync(file).mtimeMs];
    for (const args of [['sessions', 'list'], ['tokens', 'revoke', 'x'], set, ['verify']]) {
      // You are not asked for a password first.
      expect(await refused(args, { input: '' })).toBe(
        `DATA_DIR: ${data} belongs to another user, whose server could not use files that this user creates there; ` +
          `run this as that user: ${line}`,
      );
    }
    const { stdout, exitCode } = await home.run(['check-config']);
    expect(stdout).toMatch(`advice  DATA_DIR: ${data} belongs to another user`);
    expect(exitCode).toBe(0);
    expect([readdirSync(data), statSync(file).mtimeMs]).toEqual(before);
  });

  test('no data folder is created in a folder of another user', async () => {
    using other = makeHome();
    chownSync(other.root, nobody, nobody);
    const { stdout, stderr, exitCode } = await other.run(['password', 'set'], { input: 'the long password' });
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/sudo -u nobody \.\/backchannel …\n$/);
    expect(existsSync(join(other.root, 'data'))).toBe(false);
  });
});

describe.skipIf(process.getuid === undefined || process.getuid() === 0)('as any other user (skipped for root)', () => {
  test('a file that cannot be written gives one sentence with the command that fixes it', async () => {
    await makeDatabase();
    chmodSync(file, 0o400);
    const text = `database: ${file} cannot be read and written by user ${userInfo().username}: chmod 600 ${file}`;
    for (const args of [['sessions', 'list'], set]) expect(await refused(args)).toBe(text);
  });
});
