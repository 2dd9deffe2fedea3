// docs/operations.md: its commands run one after another, as they are written.
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serverEnv, startServer } from './live-server.ts';
import { makeHome, repository } from './run.ts';
import { hasShell, openShell } from './shell.ts';

const page = readFileSync(join(repository, 'docs/operations.md'), 'utf8');

/** The commands in a section's shell blocks. */
function commandsOf(title: string): string[] {
  const section = page.split(/^(?=## )/m).find((each) => each.startsWith(`## ${title}\n`)) ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, code = '']) => code.trimEnd().split('\n'));
}

test.skipIf(!hasShell)('the commands back up beside a running server, and restore', async () => {
  using home = makeHome({ '.env': serverEnv });
  const run = async (line: string) => {
    expect(line).toMatch(/^\.\/backchannel /);
    return shell.run(line);
  };
  await using shell = await openShell(home);
  await using server = await startServer(home);
  const { headers } = await server.signIn();
  const [backup = '', ...more] = commandsOf('Back up');
  expect(more).toEqual([]);
  expect(await run(backup)).toContain('1 session, ');
  await server.stop();
  const [restore = '', ...others] = commandsOf('Restore');
  expect(others).toEqual([]);
  expect(await run(restore)).toContain('1 session, ');
  await using again = await startServer(home);
  expect(await again.statusFor(headers)).toBe(200);
});

/** What cron hands to `sh`: it takes an unescaped % for a line break, and the rest for input. */
function asCronRuns(line: string): string {
  const [, command = ''] = /^(?:\S+\s+){5}(.*)$/.exec(line) ?? [];
  return command.replace(/(?<!\\)%.*$/s, '').replaceAll('\\%', '%');
}

test.skipIf(!hasShell)(
  'the line of the crontab backs up as cron runs it, and deletes old backups and nothing else',
  async () => {
    using home = makeHome({ '.env': serverEnv });
    await using shell = await openShell(home);
    await using server = await startServer(home);
    await server.signIn();
    const [line = '', ...more] = [...page.matchAll(/^```crontab\n(.*?)\n```$/gms)].map(([, code = '']) => code);
    expect(more).toEqual([]);
    const command = asCronRuns(line.replace('/home/you/backchannel', home.root));
    const today = new Date().toISOString().slice(0, 10);
    const script = `sh -c '${command.replaceAll("'", "'\\''")}' 2>&1 >/dev/null`;
    // It may run twice a day.
    for (const _ of [1, 2]) expect(await shell.run(script, { TZ: 'UTC' })).toBe('');
    const old = new Date(Date.now() - 40 * 86_400_000);
    for (const name of ['2020-01-01.db', 'notes.txt']) {
      writeFileSync(join(home.root, 'backups', name), '');
      utimesSync(join(home.root, 'backups', name), old, old);
    }
    await shell.run(script, { TZ: 'UTC' });
    expect(readdirSync(join(home.root, 'backups')).sort()).toEqual([`${today}.db`, 'notes.txt']);
  },
);

test.skipIf(!hasShell)('the command for a new key ends no session, and the old key can be removed later', async () => {
  using home = makeHome({ '.env': serverEnv });
  const env = join(home.root, '.env');
  let before: Record<string, string>;
  {
    await using server = await startServer(home);
    before = (await server.signIn()).headers;
    await server.stop();
  }
  const [line = '', ...more] = commandsOf('Rotate secrets');
  expect(more).toEqual([]);
  expect(line).toContain('$(./backchannel secret)');
  await using shell = await openShell(home);
  expect(await shell.run(`${line} 2>&1`)).toBe('');
  let after: Record<string, string>;
  {
    await using server = await startServer(home);
    expect(await server.statusFor(before)).toBe(200);
    after = (await server.signIn()).headers;
    await server.stop();
  }
  writeFileSync(env, readFileSync(env, 'utf8').replace(/,.*$/m, ''));
  await using server = await startServer(home);
  expect(await server.statusFor(before)).toBe(401);
  expect(await server.statusFor(after)).toBe(200);
});
