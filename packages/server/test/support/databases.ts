// Where the servers of a test keep their data: on SQLite each data folder has its file, on PostgreSQL each has a database
// of its own, copied from one that is migrated already.
import { createHash } from 'node:crypto';
import pg from 'pg';
import type { ProvidedContext } from 'vitest';

export interface Databases {
  /** The variables that lead a server to the database of a data folder, made where there is none yet. */
  open(dataDir: string, options?: { isEmpty?: boolean }): Promise<Record<string, string>>;
  drop(dataDir: string): Promise<void>;
}

/** A key that all of a test's servers share, as PostgreSQL demands. */
const SECRET_KEY = 'a key for tests that everybody may know';

export function openDatabases(postgres: ProvidedContext['postgres'] | undefined): Databases {
  if (!postgres) return { open: async () => ({}), drop: async () => {} };
  const { url, template } = postgres;
  const made = new Map<string, Promise<void>>();
  const nameOf = (dataDir: string) => `test_${createHash('sha256').update(dataDir).digest('hex').slice(0, 24)}`;
  const run = async (sql: string) => {
    const client = new pg.Client({ connectionString: `${url}/postgres` });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  return {
    open: async (dataDir, { isEmpty = false } = {}) => {
      const name = nameOf(dataDir);
      if (!made.has(name))
        made.set(name, run(`create database ${name} template ${isEmpty ? 'template0' : template} strategy file_copy`));
      await made.get(name);
      return { DATABASE_URL: `${url}/${name}?pool_size=5`, SECRET_KEY };
    },
    drop: async (dataDir) => {
      const name = nameOf(dataDir);
      if (made.delete(name)) await run(`drop database ${name} with (force)`);
    },
  };
}
