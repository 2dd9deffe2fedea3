// The command line and a busy server on one database: neither gets in the other's way.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { type LiveServer, serverEnv, spawnServer } from './live-server.ts';
import { type Checkout, checkout } from './run.ts';

/** As many as a person at a keyboard and a script of theirs. */
const AT_ONCE = 2;
const ROUNDS = 2;

const commands = [
  ['tokens', 'create', '--name', 'made beside', '--scope', 'read'],
  ['sessions', 'list'],
  ['throttle', 'clear', '--all'],
  ['events', '--limit', '100'],
  ['tokens', 'list', '--json'],
];

/** Runs the commands in one process after the other, as often as is asked for: a process for each takes most of its time to start. */
const program = ({ root }: Checkout) => `
  const { run } = await import(${JSON.stringify(pathToFileURL(join(root, 'packages/cli/src/run.ts')).href)});
  const { env, stdin, stdout, stderr } = process;
  const context = { env, root: null, cwd: process.cwd(), stdin, stdout, stderr };
  for (let round = 0; round < ${ROUNDS}; round++) {
    for (const args of ${JSON.stringify(commands)}) process.exitCode ||= await run(args, context);
  }`;

/** What a browser does all day, until it is told to stop; the statuses of all answers. */
async function browse(server: LiveServer, isOver: () => boolean): Promise<number[]> {
  const statuses: number[] = [];
  while (!isOver()) {
    const { headers } = await server.signIn();
    const calls: [string, string, object?][] = [
      ['GET', '/auth/sessions'],
      ['POST', '/auth/tokens', { name: 'made meanwhile', scope: 'read' }],
      ['GET', '/client/dashboard'],
      ['POST', '/auth/logout'],
    ];
    for (const [method, path, body] of calls) {
      statuses.push((await server.call(method, path, { headers, ...(body && { body }) })).status);
    }
  }
  return statuses;
}

test('commands beside a server at work: nothing fails on either side', async () => {
  using home = checkout({ '.env': serverEnv });
  writeFileSync(join(home.root, 'commands.js'), program(home));
  await using server = await spawnServer(home);
  const running = Promise.all(Array.from({ length: AT_ONCE }, () => home.shell('node commands.js')));
  let isOver = false;
  running.finally(() => {
    isOver = true;
  });
  const [runs, ...statuses] = await Promise.all([running, browse(server, () => isOver), browse(server, () => isOver)]);

  expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect(new Set(statuses.flat())).toEqual(new Set([200]));
  expect(server.output()).not.toMatch(/"level":"(?:warn|error|fatal)"/);
  const { tokens } = JSON.parse((await home.run(['tokens', 'list', '--json'])).stdout);
  const count = (name: string) => tokens.filter((token: { name: string }) => token.name === name).length;
  expect(count('made beside')).toBe(AT_ONCE * ROUNDS);
  expect(count('made meanwhile')).toBe(statuses.flat().length / 4);
});
