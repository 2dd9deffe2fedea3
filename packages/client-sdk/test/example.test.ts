import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PASSWORD, startServer } from '../../server/test/support/harness.ts';
import { run } from './run.ts';

const root = join(import.meta.dirname, '../../..');
const example = (args: string[], env: Record<string, string> = {}) =>
  run(process.execPath, ['examples/sdk.ts', ...args], { cwd: root, env });

test('examples/sdk.ts signs in, looks around and signs out', async () => {
  await using server = await startServer();
  for (const done of [await example([server.url, PASSWORD]), await example([], { URL: server.url, PASSWORD })]) {
    expect(done.output).toMatch(
      /^Signed in at http\S+: session \w+ on node\.\nIt has made \d+ requests, and ends after 60 idle minutes\.\nSigned out\.\n$/,
    );
    expect(done.exitCode).toBe(0);
  }
});

test('examples/sdk.ts prints a failure on one line and exits with 1', async () => {
  await using server = await startServer();
  const done = await example([server.url, 'not this one']);
  expect(done).toMatchObject({ exitCode: 1, output: 'UNAUTHORIZED: Wrong password.\n' });
});
