// docs/operations.md: its commands run one after another, as they are written.
import { readFileSync, writeFileSync } from 'node:fs';
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
    expect(line).toMatch(/^npx pnpm@12 backchannel /);
    return shell.run(line.replace('npx pnpm@12 ', ''));
  };
  await using shell = await openShell(home);
  await using server = await startServer(home);
  const { headers } = await server.signIn();
  const [backup = '', dated = '', ...more] = commandsOf('Back up');
  expect(more).toEqual([]);
  expect(await run(backup)).toContain('1 session, ');
  // A cron job may run twice a day.
  for (const _ of [1, 2]) expect(await run(`${dated} 2>&1 >/dev/null`)).toBe('');
  await server.stop();
  const [restore = '', ...others] = commandsOf('Restore');
  expect(others).toEqual([]);
  expect(await run(restore)).toContain('1 session, ');
  await using again = await startServer(home);
  expect(await again.statusFor(headers)).toBe(200);
});

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
  expect(line).toContain('$(npx pnpm@12 backchannel secret)');
  await using shell = await openShell(home);
  expect(await shell.run(`${line.replace('npx pnpm@12 ', '')} 2>&1`)).toBe('');
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
