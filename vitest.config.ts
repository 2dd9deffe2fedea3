// One run over every package and the browser tests, so that one summary tells whether all is well.
import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { whyNoPostgres } from './e2e/postgres.ts';

// Tests don't wait on purpose. These limits end tests that hang, and leave room for slow machines.
const limits = { testTimeout: 40_000, hookTimeout: 40_000, expect: { poll: { timeout: 10_000 } } };
const longTimeoutMs = 30 * 60_000;

const packages = ['server', 'client-sdk', 'cli'].map((name) => ({
  extends: true as const,
  test: { name, include: [`packages/${name}/test/**/*.test.ts`], exclude: ['**/*.postgresql.test.ts'], ...limits },
}));

/** A file of the server's tests that begins with this comment doesn't depend on the engine, and runs on SQLite alone. */
const runsOnce = /^\/\/ Runs on one engine: /m;
const onPostgres = globSync('packages/server/test/**/*.test.ts').filter(
  (file) => !runsOnce.test(readFileSync(file, 'utf8')),
);

// The server's own tests once more, on the other engine.
const noPostgres = whyNoPostgres();
if (noPostgres) console.warn(`Skipped: the server's tests on PostgreSQL (${noPostgres}). They run on SQLite alone.`);
const postgres = {
  extends: true as const,
  test: {
    name: 'server-postgres',
    include: [...onPostgres, 'packages/cli/test/**/*.postgresql.test.ts'],
    globalSetup: 'e2e/postgres-setup.ts',
    ...limits,
  },
};

/** A test that uses this does more of the same in the long run. */
const usesAmounts = (file: string) => readFileSync(file, 'utf8').includes('/amount.ts');
const longRun = {
  extends: true as const,
  test: {
    ...limits,
    name: 'long',
    include: globSync(['packages/*/test/**/*.test.ts', 'e2e/test/**/*.test.ts']).filter(usesAmounts),
    testTimeout: longTimeoutMs,
  },
};

export default defineConfig(({ mode }) => ({
  test: {
    provide: { isLongRun: mode === 'long' },
    // Processes, not threads: bcrypt and SQLite are native code, and threads would share one libuv pool among them.
    pool: 'forks',
    // A process runs one file after the other and loads the server once. So a file has to leave the process as it found it.
    isolate: false,
    // Node itself runs the code, as it runs in production. Nothing is transformed and no module can be mocked.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    // Left to itself, vitest keeps one core free, which is half of a machine with two.
    maxWorkers: '100%',
    projects:
      mode === 'long'
        ? [longRun]
        : [
            ...packages,
            ...(noPostgres ? [] : [postgres]),
            {
              extends: true,
              // After the others: a browser at work would spoil what they measure. Its first test unpacks Chromium.
              test: {
                name: 'e2e',
                include: ['e2e/test/**/*.test.ts'],
                ...limits,
                testTimeout: 60_000,
                sequence: { groupOrder: 1 },
              },
            },
          ],
  },
}));
