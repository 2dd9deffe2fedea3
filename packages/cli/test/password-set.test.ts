// `password set`: sets a new master password on the machine itself. A running server uses it without a restart.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@backchannel/server/config';
import { verifyPassword } from '@backchannel/server/password';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LiveServer, serverEnv, spawnServer, startServer } from './live-server.ts';
import { checkout, makeHome } from './run.ts';

const first = 'the first long password';
const second = 'the second long password';

const home = checkout({ '.env': serverEnv });
afterAll(() => home[Symbol.dispose]());

/** Sets a password through a pipe. */
const set = (password: string, ...options: string[]) =>
  home.run(['password', 'set', ...options], { input: `${password}\n` });

describe('before the first start', () => {
  test('a password that bcrypt cannot hold or nobody can type is rejected, and nothing is created', async () => {
    for (const [input, reason] of [
      ['x'.repeat(73), /73 bytes/],
      ['\n', /empty/],
      ['a\0b', /NUL/],
      // The same password twice, as at a terminal.
      [`${first}\n${first}\n`, /line break.*Nothing was changed. Pipe the password in once\n$/],
    ] as const) {
      const { stdout, stderr, exitCode } = await home.run(['password', 'set'], { input });
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 2 });
      expect(stderr).toMatch(reason);
    }
    expect(existsSync(join(home.root, 'data'))).toBe(false);
  });

  test('it creates the database and no key, and the first start uses the password', async () => {
    const { stdout, stderr, exitCode } = await set(first);
    expect(stdout).toBe('The password is set. The server uses it from its first start.\n');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(readdirSync(join(home.root, 'data'))).toEqual(['backchannel.db']);
    expect(await home.run(['verify'], { input: first })).toMatchObject({ stdout: 'right\n', exitCode: 0 });
    expect(await home.run(['verify'], { input: second })).toMatchObject({ stdout: 'wrong\n', exitCode: 1 });
    await using server = await spawnServer(home);
    expect(server.output()).not.toMatch(/admin123|Password/);
    expect(await server.tryPassword('admin123')).toBe(401);
    expect(await server.tryPassword(first)).toBe(200);
    await server.stop();
  });
});

describe('beside a running server', () => {
  let server: LiveServer;
  beforeAll(async () => {
    server = await startServer(home);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  /** A change takes effect everywhere within a second. The speed of this machine is not under test. */
  const untilRefused = (headers: Record<string, string>) =>
    expect.poll(() => server.statusFor(headers), { timeout: 30_000 }).toBe(401);
  const makeToken = async () => {
    const { stdout } = await home.run(['tokens', 'create', '--name', 'x', '--scope', 'read']);
    return { authorization: `Bearer ${stdout.trim()}` };
  };

  test('the next sign-in needs the new password, old sessions are rejected, and tokens stay valid', async () => {
    const old = [await server.signIn(first), await server.signIn(first)];
    const token = await makeToken();
    const { sessions } = JSON.parse((await home.run(['sessions', 'list', '--json'])).stdout);
    for (const { headers } of old) expect(await server.statusFor(headers)).toBe(200);

    const { stdout, stderr, exitCode } = await set(second);
    expect(stdout).toBe(
      `The password is set: ${sessions.length} sessions ended, 1 token kept (--revoke-tokens revokes them, too).\n`,
    );
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(await server.tryPassword(first)).toBe(401);
    const { headers } = await server.signIn(second);
    for (const each of old) await untilRefused(each.headers);
    expect(await server.statusFor(headers)).toBe(200);
    expect(await server.statusFor(token)).toBe(200);
    const { body } = await server.call('GET', '/auth/events?type=password.changed&limit=1', { headers });
    expect(body.events[0]).toMatchObject({
      ip: null,
      sessionId: null,
      detail: expect.stringMatching(/session\(s\) ended/),
    });
  });

  test('--revoke-tokens revokes the tokens too, and --json has the counts', async () => {
    const token = await makeToken();
    const { headers } = await server.signIn(second);
    expect(await server.statusFor(token)).toBe(200);
    const { stdout, stderr } = await set('a short one', '--revoke-tokens', '--json');
    const { sessionsEnded, warnings, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({ changed: true, tokensRevoked: 2, tokensLeft: 0 });
    expect(sessionsEnded).toBeGreaterThan(0);
    expect(warnings).toEqual([expect.stringMatching(/11 characters/)]);
    expect(stderr).toBe('');
    await untilRefused(token);
    await untilRefused(headers);
  });

  test.each([
    ['short', 'A new password needs at least 8 characters.'],
    ['admin123', 'admin123 is the built-in password, which everyone knows.'],
    ['Password1', 'The password is one of the most common ones, which attackers try first.'],
  ])('a new password may not be %s', async (next, why) => {
    const { stdout, stderr, exitCode } = await set(next);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: `${why}\n`, exitCode: 1 });
    expect(await server.tryPassword(next)).toBe(401);
  });

  test('a short password is set with a warning', async () => {
    const { stdout, stderr, exitCode } = await set('a shorter one', '--revoke-tokens');
    expect(stdout).toBe('The password is set: 0 sessions ended, 0 tokens revoked.\n');
    expect(stderr).toMatch(/^The password has 13 characters; [^\n]+\n$/);
    expect(exitCode).toBe(0);
    expect(await server.tryPassword('a shorter one')).toBe(200);
  });
});

describe('if the configuration sets the password', () => {
  test.each(['MASTER_PASSWORD', 'MASTER_PASSWORD_HASH'])(
    '%s: the command prints the line to put there',
    async (name) => {
      const hash = 'JDJiJDEyJDNJdllvL1lTOGRTUzgzTFFmeWFsTi5JaUpEQUcxYTFCR3Ivc3BlMHF4MzM2MXUwd3Q2Z1Rt';
      using home = makeHome({ '.env': `${serverEnv}${name}=${name.endsWith('HASH') ? hash : first}\n` });
      const { stdout, stderr, exitCode } = await home.run(['password', 'set'], { input: second });
      expect(stdout).toMatch(/^MASTER_PASSWORD_HASH='\$2b\$10\$\S{53}'\n$/);
      expect(stderr).toMatch(new RegExp(`^Nothing was changed: ${name} is set in .*\\n$`));
      expect(exitCode).toBe(1);
      const asJson = await home.run(['password', 'set', '--json'], { input: second });
      expect(JSON.parse(asJson.stdout)).toEqual({
        changed: false,
        env: expect.stringMatching(/^MASTER_PASSWORD_HASH=/),
        warnings: [expect.stringMatching(/^Nothing was changed/)],
      });
      expect(asJson).toMatchObject({ stderr: '', exitCode: 1 });
      expect(existsSync(join(home.root, 'data'))).toBe(false);

      writeFileSync(join(home.root, '.env'), stdout);
      const { password } = loadConfig({ env: {}, root: home.root });
      expect(password.from === 'MASTER_PASSWORD_HASH' && (await verifyPassword(second, password.hash))).toBe(true);
    },
  );
});

describe('at a terminal', () => {
  test('the password is asked for twice', async () => {
    const { stdout, stderr, exitCode } = await home.run(['password', 'set'], { typed: [`${second}\r`, `${second}\r`] });
    expect(stdout).toBe('The password is set: 1 session ended, 0 tokens kept.\n');
    expect({ stderr, exitCode }).toEqual({ stderr: 'Password: \nRepeat the password: \n', exitCode: 0 });
    expect(await home.run(['verify'], { input: second })).toMatchObject({ stdout: 'right\n' });
  });

  test('two different passwords change nothing', async () => {
    const { stderr, exitCode } = await home.run(['password', 'set'], { typed: [`${first}\r`, `${first}r\r`] });
    expect({ stderr, exitCode }).toEqual({ stderr: expect.stringContaining('do not match'), exitCode: 2 });
    expect(await home.run(['verify'], { input: second })).toMatchObject({ stdout: 'right\n' });
  });
});
