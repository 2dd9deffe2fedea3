// What all commands have in common: help, the version, and errors for bad usage.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { makeHome, repository } from './run.ts';

const home = makeHome();
afterAll(() => home[Symbol.dispose]());

const single = [
  'hash',
  'hash-master',
  'verify',
  'secret',
  'check-config',
  'events',
  'backup',
  'restore',
  'call',
  'completion',
  'migrate-to',
];
const groups = {
  password: ['set'],
  sessions: ['list', 'revoke'],
  tokens: ['list', 'create', 'revoke'],
  throttle: ['list', 'clear'],
  'proxy-config': ['nginx', 'caddy', 'traefik'],
};
const names = [...single, ...Object.keys(groups)];
const nested = Object.entries(groups).flatMap(([group, commands]) => commands.map((name) => `${group} ${name}`));

describe('help', () => {
  test('lists every command, in all four forms', async () => {
    const [first, ...others] = await Promise.all([[], ['help'], ['--help'], ['-h']].map((args) => home.run(args)));
    expect(first).toMatchObject({ stderr: '', exitCode: 0 });
    const listed = first?.stdout.match(/^ {2}[a-z-]+/gm)?.map((name) => name.trim());
    expect(listed?.toSorted()).toEqual([...names, 'help'].toSorted());
    for (const other of others) expect(other).toEqual(first);
  });

  test.each(names)('of %s has its usage and its options', async (name) => {
    const [long, short, asked] = await Promise.all([
      home.run([name, '--help']),
      home.run([name, '-h']),
      home.run(['help', name]),
    ]);
    expect(long).toMatchObject({ stderr: '', exitCode: 0 });
    expect(long.stdout).toMatch(new RegExp(`^Usage: ./backchannel ${name} .*\n`));
    expect(long.stdout).toContain('--json');
    expect([short, asked]).toEqual([long, long]);
  });

  test.each(Object.entries(groups))(
    'of %s names its commands, and each command has its own help',
    async (group, commands) => {
      expect((await home.run([group, '--help'])).stdout).toContain(
        `Usage: ./backchannel ${group} ${commands.join('|')} `,
      );
      for (const name of commands) {
        const [own, asked] = await Promise.all([home.run([group, name, '-h']), home.run(['help', group, name])]);
        expect(own.stdout).toMatch(new RegExp(`^Usage: ./backchannel ${group} ${name} .*\n`));
        expect(own).toMatchObject({ stderr: '', exitCode: 0 });
        expect(asked).toEqual(own);
      }
    },
  );

  test('has no line wider than 120 columns', async () => {
    const topics = [...names, ...nested].map((name) => ['help', ...name.split(' ')]);
    const all = await Promise.all([[], ...topics].map((args) => home.run(args)));
    const widest = Math.max(...all.flatMap(({ stdout }) => stdout.split('\n').map((line) => line.length)));
    expect(widest).toBeLessThanOrEqual(120);
  });
});

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(repository, 'packages/cli/package.json'), 'utf8'));
  for (const flag of ['--version', '-v']) {
    expect(await home.run([flag])).toEqual({ stdout: `${version}\n`, stderr: '', exitCode: 0 });
  }
});

describe('bad usage is one line on stderr and exit code 2', () => {
  test.each([
    [['hsah'], "unknown command 'hsah'. Did you mean hash?"],
    [['Hash'], "unknown command 'Hash'. Did you mean hash?"],
    [['hash_master'], "unknown command 'hash_master'. Did you mean hash-master?"],
    [['hash-password', 'x'], "unknown command 'hash-password'. Did you mean hash?"],
    [['check'], "unknown command 'check'. Did you mean check-config?"],
    [['hepl'], "unknown command 'hepl'. Did you mean help?"],
    [['serve'], "unknown command 'serve'. See: ./backchannel help"],
    [['help', 'serve'], "unknown command 'serve'. See: ./backchannel help"],
    [['constructor'], "unknown command 'constructor'. See: ./backchannel help"],
    [['\u001b[2J\u009b'], "unknown command '\\x1B[2J\\x9B'. See: ./backchannel help"],
    [['--json', 'hash'], "unknown option '--json'. Put the command first. See: ./backchannel help"],
    [['secret', '--jsn'], "unknown option '--jsn'. Did you mean --json?"],
    [['secret', '--raw'], "unknown option '--raw'. Options: --env, --json, --help"],
    [['secret', '--constructor'], "unknown option '--constructor'. Options: --env, --json, --help"],
    [['secret', '--json=yes'], '--json takes no value'],
    [['secret', 'x'], 'this command takes no arguments'],
    [['check-config', '.env'], 'this command takes no arguments'],
    [['hash-master', 'x'], 'this command takes no arguments'],
    [['hash', '--cost'], '--cost needs a value: --cost N'],
    [['sessions'], 'sessions needs a command. Usage: ./backchannel sessions list|revoke'],
    [
      ['sessions', 'lst'],
      "unknown command 'sessions lst'. Did you mean sessions list? Usage: ./backchannel sessions list|revoke",
    ],
    [['sessions', 'constructor'], "unknown command 'sessions constructor'. Usage: ./backchannel sessions list|revoke"],
    [['help', 'sessions', 'x'], "unknown command 'sessions x'. Usage: ./backchannel sessions list|revoke"],
    [['tokens', '--json'], "unknown option '--json'. Put the command first: ./backchannel tokens list|create|revoke"],
    [['sessions', 'revoke'], 'sessions revoke takes either an ID or --all'],
    [['sessions', 'revoke', 'x', '--all'], 'sessions revoke takes either an ID or --all'],
    [
      ['sessions', 'revoke', 'x', 'y'],
      'too many arguments, expected one ID. Put quotes around an argument that contains spaces',
    ],
    [['sessions', 'revoke', '-x'], "unknown option '-x'. Options: --all, --json, --help"],
    [['tokens', 'revoke'], 'tokens revoke needs an ID'],
    [['throttle', 'clear'], 'throttle clear takes either a SOURCE or --all'],
    [['call'], 'call needs a PROCEDURE. See: ./backchannel call --list'],
    [
      ['call', 'auth.me', '{}', 'x'],
      'too many arguments, expected one PROCEDURE and one JSON. Put quotes around an argument that contains spaces',
    ],
    [['completion'], 'completion needs the name of a shell: bash, zsh, fish'],
    [['completion', 'constructor'], 'completion needs the name of a shell: bash, zsh, fish'],
    [['password', 'set', 'x'], 'this command takes no arguments'],
    [
      ['hash', 'two', 'words'],
      'too many arguments, expected one password. Put quotes around an argument that contains spaces',
    ],
  ])('%j', async (args, message) => {
    const { stdout, stderr, exitCode } = await home.run(args);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: `backchannel: ${message}\n`, exitCode: 2 });
  });

  test('an unknown option may be a password', async () => {
    const { stderr, exitCode } = await home.run(['verify', '-secret']);
    expect(stderr).toMatch(/^backchannel: unknown option '-s'\. .*\(Put a password that begins with - after --.*\n$/);
    expect(exitCode).toBe(2);
  });
});
