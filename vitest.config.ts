// One run over every package and the browser tests, so that one summary tells whether all is well.
import { defineConfig } from 'vitest/config';
import { whyNoPostgres } from './e2e/postgres.ts';

// No test waits on purpose: the limits are there for what hangs, on the slowest machine in use.
const limits = { testTimeout: 40_000, hookTimeout: 40_000, expect: { poll: { timeout: 10_000 } } };

const packages = ['server', 'client-sdk', 'cli'].map((name) => ({
  extends: true as const,
  test: { name, include: [`packages/${name}/test/**/*.test.ts`], exclude: ['**/*.postgresql.test.ts'], ...limits },
}));

// The server's own tests once more, on the other engine. What has no database in it is not run twice.
const noPostgres = whyNoPostgres();
if (noPostgres) console.warn(`Skipped: the server's tests on PostgreSQL (${noPostgres}). They run on SQLite alone.`);
const postgres = {
  extends: true as const,
  test: {
    name: 'server-postgres',
    include: ['packages/server/test/**/*.test.ts', 'packages/cli/test/**/*.postgresql.test.ts'],
    exclude: [
      'client-address',
      'config',
      'connections',
      'docs',
      'faults',
      'fuzz-http',
      'headers',
      'kill',
      'openapi',
      'origins',
      'pages-advice',
      'pages-return',
      'process',
      'restore',
      'start-memory',
      'store',
      'turns',
      'upgrade',
    ].map((name) => `packages/server/test/**/${name}.test.ts`),
    globalSetup: 'e2e/postgres-setup.ts',
    ...limits,
  },
};

export default defineConfig({
  test: {
    // Processes, not threads: bcrypt and SQLite are native code, and threads would share one libuv pool among them.
    pool: 'forks',
    // Left to itself, vitest keeps one core free, which is half of a machine with two.
    maxWorkers: '100%',
    projects: [
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
});
