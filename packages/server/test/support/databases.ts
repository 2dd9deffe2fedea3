import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { ProvidedContext } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { openStore } from '../../src/store/database.ts';
import { entities } from '../../src/store/entities.ts';
import { migrations } from '../../src/store/migrations/index.ts';

export interface Databases {
  /** Creates a data folder that no server has used; its database is migrated. */
  makeDataDir(): Promise<string>;
  /**
   * The variables that lead a server to the database of a data folder. Where there is none yet, it gets one that is migrated
   * and may have been in use before; with `from` a new copy, or one with nothing in it.
   */
  open(dataDir: string, options?: { from?: 'template' | 'new copy' | 'nothing' }): Promise<Record<string, string>>;
  drop(dataDir: string): Promise<void>;
}

/** The key that all servers of a test share, which PostgreSQL requires. */
const SECRET_KEY = 'a-key-for-tests-that-everybody-may-know';
const SQLITE_FILE = 'backchannel.db';

const tables = entities.map(({ meta }) => meta.tableName);

const newFolder = () => mkdtempSync(join(scratchFolder(), 'backchannel-test-'));

/** In memory where there is room: most of what a test waits for there is the disk. */
function scratchFolder(): string {
  const [memory, leastBytes] = ['/dev/shm', 256 * 1024 ** 2];
  try {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > leastBytes) return memory;
  } catch {
    // Only Linux has it.
  }
  return tmpdir();
}

export function openDatabases(postgres: ProvidedContext['postgres'] | undefined): Databases {
  return postgres ? onPostgres(postgres) : onSqlite();
}

function onSqlite(): Databases {
  /** The bytes of a migrated file, made when the first one is asked for. */
  let migrated: Promise<Buffer> | undefined;
  return {
    makeDataDir: async () => {
      migrated ??= migrate();
      const bytes = await migrated;
      const dataDir = newFolder();
      writeFileSync(join(dataDir, SQLITE_FILE), bytes, { mode: 0o600 });
      return dataDir;
    },
    open: async () => ({}),
    drop: async () => {},
  };
}

async function migrate(): Promise<Buffer> {
  const dataDir = newFolder();
  const store = await openStore(loadConfig({ env: { DATA_DIR: dataDir }, root: dataDir }).database);
  await store[Symbol.asyncDispose]();
  const bytes = readFileSync(join(dataDir, SQLITE_FILE));
  rmSync(dataDir, { recursive: true });
  return bytes;
}

function onPostgres({ url, template }: ProvidedContext['postgres']): Databases {
  const names = new Map<string, Promise<string>>();
  /** The data folders whose database a test may have changed beyond its rows. */
  const own = new Set<string>();
  /** Emptied databases for the next data folders: to empty one costs a tenth of what it costs to make one. */
  const emptied: string[] = [];
  let count = 0;

  const query = async (database: string, sql: string): Promise<pg.QueryResult[]> => {
    const client = new pg.Client({ connectionString: `${url}/${database}` });
    await client.connect();
    return [await client.query(sql).finally(() => client.end())].flat();
  };
  const create = async (from: string) => {
    const name = `test_${process.pid}_${++count}`;
    await query('postgres', `create database ${name} template ${from} strategy file_copy`);
    return name;
  };
  /** Fails if a test has changed more than rows. */
  const empty = async (name: string) => {
    const results = await query(
      name,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();
       truncate ${tables.join()};
       select from backchannel_migrations`,
    );
    if (results.at(-1)?.rowCount !== migrations.length) throw new Error('other migrations than before');
  };
  return {
    makeDataDir: async () => newFolder(),
    open: async (dataDir, { from = 'template' } = {}) => {
      if (!names.has(dataDir)) {
        if (from !== 'template') own.add(dataDir);
        const reused = from === 'template' ? emptied.pop() : undefined;
        names.set(dataDir, reused ? Promise.resolve(reused) : create(from === 'nothing' ? 'template0' : template));
      }
      return { DATABASE_URL: `${url}/${await names.get(dataDir)}?pool_size=5`, SECRET_KEY };
    },
    drop: async (dataDir) => {
      const name = await names.get(dataDir);
      names.delete(dataDir);
      if (name === undefined) return;
      const remove = () => query('postgres', `drop database ${name} with (force)`);
      if (own.delete(dataDir)) await remove();
      else await empty(name).then(() => emptied.push(name), remove);
    },
  };
}
