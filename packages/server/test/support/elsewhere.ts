// Another program that uses a server's database, on either engine: it reads, locks, and makes a table fail.
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import type { TestServer } from './harness.ts';

export interface OtherProgram extends AsyncDisposable {
  /** Runs statements, `?` for each value, and returns the rows of a query. */
  run<Row = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

type Of = { config: Pick<TestServer['config'], 'database'> };

export async function openElsewhere({ config: { database } }: Of): Promise<OtherProgram> {
  if (database.engine === 'sqlite') {
    const db = new Sqlite(database.file);
    return {
      run: async <Row>(sql: string, values: readonly unknown[] = []) => {
        if (values.length === 0 && !/^select\b/i.test(sql)) {
          db.exec(sql);
          return [];
        }
        const statement = db.prepare(sql);
        if (statement.reader) return statement.all(...values) as Row[];
        statement.run(...values);
        return [];
      },
      [Symbol.asyncDispose]: async () => void db.close(),
    };
  }
  const [{ host, port } = { host: '', port: 0 }] = database.hosts;
  const types = new pg.TypeOverrides();
  types.setTypeParser(20, Number);
  const client = new pg.Client({
    ...{ host, port, user: database.user, database: database.database },
    ...{ password: database.password ?? '', types },
  });
  await client.connect();
  return {
    run: async <Row>(sql: string, values: readonly unknown[] = []) => {
      let count = 0;
      const { rows } = await client.query(
        sql.replace(/\?/g, () => `$${++count}`),
        [...values],
      );
      return rows as Row[];
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** The tables of a server, without the one of the migrations. */
async function tablesOf(of: Of, other: OtherProgram): Promise<string[]> {
  const from =
    of.config.database.engine === 'sqlite'
      ? "sqlite_schema where type = 'table' and name not like 'sqlite%'"
      : "(select table_name as name from information_schema.tables where table_schema = 'public') as tables";
  const rows = await other.run<{ name: string }>(`select name from ${from}`);
  return rows.map(({ name }) => name).filter((name) => name !== 'backchannel_migrations');
}

/** Blocks all other writers, but not readers, until it is released. */
export async function lockWrites(of: Of): Promise<{ release(): Promise<void> }> {
  const other = await openElsewhere(of);
  if (of.config.database.engine === 'sqlite') await other.run('begin immediate');
  else await other.run(`begin; lock table ${(await tablesOf(of, other)).join(', ')} in exclusive mode`);
  return releaseBy(other);
}

function releaseBy(other: OtherProgram): { release(): Promise<void> } {
  return {
    release: async () => {
      await other.run('rollback');
      await other[Symbol.asyncDispose]();
    },
  };
}

/**
 * A database that fails in the middle of a request: until `mend`, reads and writes of a table (`sessions`) fail, and everything else
 * works. SQLite finds the file damaged; PostgreSQL waits for a lock until its timeout.
 */
export async function tearTable(of: Of, topic: string): Promise<{ mend(): Promise<void> }> {
  const table = `backchannel_${topic}`;
  if (of.config.database.engine === 'sqlite') return tearSqliteTable(of.config.database.file, table);
  const other = await openElsewhere(of);
  await other.run(`begin; lock table ${table} in access exclusive mode`);
  const { release } = releaseBy(other);
  return { mend: release };
}

function tearSqliteTable(file: string, table: string): { mend(): Promise<void> } {
  const moveTo = (where: (db: Sqlite.Database) => number): number => {
    const db = new Sqlite(file).unsafeMode(true);
    const before = rootPage(db, `type = 'table' and name = '${table}'`);
    const version = Number(db.pragma('schema_version', { simple: true }));
    db.pragma('writable_schema = on');
    db.prepare("update sqlite_schema set rootpage = ? where type = 'table' and name = ?").run(where(db), table);
    db.pragma(`schema_version = ${version + 1}`);
    db.close();
    return before;
  };
  // A page that is there, so that the schema is still read, and that holds no rows: an index of the table's own.
  const page = moveTo((db) => rootPage(db, `type = 'index' and tbl_name = '${table}'`));
  return { mend: async () => void moveTo(() => page) };
}

function rootPage(db: Sqlite.Database, which: string): number {
  const row = db.prepare<[], { rootpage: number }>(`select rootpage from sqlite_schema where ${which}`).get();
  if (!row) throw new Error(`nothing is there where ${which}`);
  return row.rootpage;
}

/** Makes every insert into a table fail with its own error, until `mend`. */
export async function refuseInserts(of: Of, topic: string): Promise<{ mend(): Promise<void> }> {
  const table = `backchannel_${topic}`;
  const other = await openElsewhere(of);
  const isSqlite = of.config.database.engine === 'sqlite';
  if (isSqlite) {
    await other.run(`create trigger refuse before insert on ${table} begin select raise(abort, 'refused'); end`);
  } else {
    await other.run(`create or replace function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused'; end $$;
      create trigger refuse before insert on ${table} execute function refuse()`);
  }
  return {
    mend: async () => {
      await other.run(`drop trigger refuse${isSqlite ? '' : ` on ${table}`}`);
      await other[Symbol.asyncDispose]();
    },
  };
}

/** Every row of every table, as text. */
export async function rowsAtRest(of: Of): Promise<string> {
  await using other = await openElsewhere(of);
  const rows: unknown[] = [];
  for (const table of await tablesOf(of, other)) rows.push(await other.run(`select * from ${table}`));
  return JSON.stringify(rows);
}
