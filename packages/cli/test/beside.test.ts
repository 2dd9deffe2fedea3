// The command line and a busy server on one database: neither gets in the other's way.
import { expect, test } from 'vitest';
import { type LiveServer, serverEnv, startServer } from './live-server.ts';
import { checkout } from './run.ts';

const RUNS = 20;
/** As many as a person at a keyboard and a script of theirs. */
const AT_ONCE = 2;

const commands = [
  ['tokens', 'create', '--name', 'made beside', '--scope', 'read'],
  ['sessions', 'list'],
  ['throttle', 'clear', '--all'],
  ['events', '--limit', '100'],
  ['tokens', 'list', '--json'],
];

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

test('twenty runs beside a server at work: nothing fails on either side', { timeout: 240_000 }, async () => {
  using home = checkout({ '.env': serverEnv });
  await using server = await startServer(home);
  let left = RUNS;
  const runAll = async () => {
    const ended = [];
    while (left > 0) {
      const args = commands[left-- % commands.length] ?? [];
      ended.push({ args, ...(await home.run(args)) });
    }
    return ended;
  };
  const running = Promise.all(Array.from({ length: AT_ONCE }, runAll));
  let isOver = false;
  running.finally(() => {
    isOver = true;
  });
  const [runs, ...statuses] = await Promise.all([running, browse(server, () => isOver), browse(server, () => isOver)]);

  expect(runs.flat()).toHaveLength(RUNS);
  expect(runs.flat().filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  expect(new Set(statuses.flat())).toEqual(new Set([200]));
  expect(server.output()).not.toMatch(/"level":"(?:warn|error|fatal)"/);
  const { tokens } = JSON.parse((await home.run(['tokens', 'list', '--json'])).stdout);
  const count = (name: string) => tokens.filter((token: { name: string }) => token.name === name).length;
  expect(count('made beside')).toBe(RUNS / commands.length);
  expect(count('made meanwhile')).toBe(statuses.flat().length / 4);
});
