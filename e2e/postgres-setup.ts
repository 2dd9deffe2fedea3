// Before the tests on PostgreSQL: one server for all of them, and a migrated database to copy.
import type { TestProject } from 'vitest/node';
import { loadConfig } from '../packages/server/src/config/config.ts';
import { openStore } from '../packages/server/src/store/database.ts';
import { openPostgres } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The server's URL without a database, and the database that each test's is copied from. */
    postgres: { url: string; template: string };
  }
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const postgres = await openPostgres();
  // The one database that is there in any case, and that nobody else is connected to.
  const template = 'template1';
  const env = { DATABASE_URL: `${postgres.url}/${template}`, SECRET_KEY: 'a-key-for-tests-that-everybody-may-know' };
  const store = await openStore(loadConfig({ env, root: import.meta.dirname }).database);
  await store[Symbol.asyncDispose]();
  provide('postgres', { url: postgres.url, template });
  return async () => {
    await postgres[Symbol.asyncDispose]();
  };
}
