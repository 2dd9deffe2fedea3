// A database that fails in the middle of what it was asked for: one table cannot be used, all others can.
import Sqlite from 'better-sqlite3';

/** Whatever reads or writes a row of `table` finds the file damaged until `mend`. */
export function tearTable(file: string, table: string): { mend(): void } {
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
  return { mend: () => moveTo(() => page) };
}

function rootPage(db: Sqlite.Database, which: string): number {
  const row = db.prepare<[], { rootpage: number }>(`select rootpage from sqlite_schema where ${which}`).get();
  if (!row) throw new Error(`nothing is there where ${which}`);
  return row.rootpage;
}
