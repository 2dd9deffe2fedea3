// A database with nothing in it, on either engine.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../src/config/config.ts';
import { inspectDatabase, inspectPostgres } from '../../src/store/inspect.ts';
import { openElsewhere } from './elsewhere.ts';
import { engine, openTestDatabase } from './harness.ts';

/** An empty database of this run's engine, and another program that works on it. */
export async function openEmpty() {
  const own = engine === 'sqlite' ? null : await openTestDatabase({ isEmpty: true });
  const file = join(mkdtempSync(join(tmpdir(), 'backchannel-names-')), 'backchannel.db');
  const database: DatabaseAddress = own?.config.database ?? { engine: 'sqlite', file };
  const other = await openElsewhere({ config: { database } });
  return {
    database,
    other,
    names: async () => {
      const from = engine === 'sqlite' ? 'sqlite_schema' : 'pg_class';
      const where = engine === 'sqlite' ? "name not like 'sqlite%'" : "relnamespace = 'public'::regnamespace";
      const rows = await other.run<{ name: string }>(
        `select ${engine === 'sqlite' ? 'name' : 'relname as name'} from ${from} where ${where}`,
      );
      return rows.map(({ name }) => name);
    },
    [Symbol.asyncDispose]: async () => {
      await other[Symbol.asyncDispose]();
      await own?.[Symbol.asyncDispose]();
    },
  };
}

export const inspect = (database: DatabaseAddress) =>
  database.engine === 'sqlite' ? inspectDatabase(database.file) : inspectPostgres(database);
