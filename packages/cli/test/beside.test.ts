// The command line and a busy server share one database without disturbing each other.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { type LiveServer, serverEnv, spawnServer } from './live-server.ts';
import { type Checkout, checkout } from './run.ts';

/** Simulates a person at a keyboard and a script. */
const AT_ONCE = 2;
const ROUNDS = 2;

const commands = [
  ['tokens', 'create', '--name', 'made beside', '--scope', 'read'],
  ['sessions', 'list'],
  ['throttle', 'clear', '--all'],
  ['events', '--limit', '100'],
  ['tokens', 'list', '--json'],
];

/** Runs the commands one after another in a single process, because starting a process for each takes most of the time. */
const program = ({ root }: Checkout) => `
  const { run } = await import(${JSON.stringify(pathToFileURL(join(root, 'packages/cli/src/run.ts')).href)});
  const { env, stdin, stdout, stderr } = process;
  const context = { env, root: null, cwd: process.cwd(), stdin, stdout, stderr };
  for (let round = 0; round < ${ROUNDS}; round++) {
    for (const args of ${JSON.stringify(commands)}) process.exitCode ||= await run(args, context);
  }`;

/** Does what a browser does, until it is stopped. Returns the statuses of all responses. */
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

test('neither commands nor requests fail when both run at the same time', async () => {
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
