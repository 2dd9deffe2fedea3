// docs/operations.md, held to the code: its commands, one after the other, as they are written.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serverEnv, startServer } from './live-server.ts';
import { checkout, repository } from './run.ts';

const page = readFileSync(join(repository, 'docs/operations.md'), 'utf8');

/** The commands in the shell blocks of a section. */
function commandsOf(title: string): string[] {
  const section = page.split(/^(?=## )/m).find((each) => each.startsWith(`## ${title}\n`)) ?? '';
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, code = '']) => code.trimEnd().split('\n'));
}

test('its commands back up beside a running server, and restore', { timeout: 60_000 }, async () => {
  using home = checkout({ '.env': serverEnv });
  const run = async (line: string) => {
    expect(line).toMatch(/^npx pnpm@12 backchannel /);
    return home.shell(line.replace(/^npx pnpm@12 backchannel/, `node ${home.bin}`));
  };
  await using server = await startServer(home);
  const { headers } = await server.signIn();
  const [backup = '', dated = '', ...more] = commandsOf('Back up');
  expect(more).toEqual([]);
  expect(await run(backup)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('1 session, ') });
  // A cron job may run twice on one day.
  for (const _ of [1, 2]) expect(await run(dated)).toMatchObject({ exitCode: 0, stderr: '' });
  await server.stop();
  const [restore = '', ...others] = commandsOf('Restore');
  expect(others).toEqual([]);
  expect(await run(restore)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('1 session, ') });
  await using again = await startServer(home);
  expect(await again.statusFor(headers)).toBe(200);
});
