// Reads of a database's state that are the same on both engines. SQLite responds at once and PostgreSQL later, so a reading
// is a generator: it yields statements and receives their rows.

export type Row = Record<string, unknown>;
export type Reading<T> = Generator<string, T, Row[]>;
export type EngineName = 'sqlite' | 'postgresql';

export function readSync<T>(reading: Reading<T>, query: (sql: string) => Row[]): T {
  let step = reading.next();
  while (!step.done) step = reading.next(query(step.value));
  return step.value;
}

export async function readAsync<T>(reading: Reading<T>, query: (sql: string) => Promise<Row[]>): Promise<T> {
  let step = reading.next();
  while (!step.done) step = reading.next(await query(step.value));
  return step.value;
}

/**
 * The columns of a table or view that this user may read; empty if there is none. On PostgreSQL it looks only into the
 * current schema, where everything of BackChannel is: another schema on the search path may be another program's.
 */
export function* readColumns(engine: EngineName, table: string): Reading<string[]> {
  const rows = yield engine === 'sqlite'
    ? `select name from pragma_table_info('${table}')`
    : `select a.attname as name from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
       where c.relname = '${table}' and c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
       and a.attnum > 0 and not a.attisdropped and has_table_privilege(c.oid, 'select')`;
  return rows.map(({ name }) => String(name));
}

/** The names of everything in the database that could be in the way of a table or an index. */
export function* readRelations(engine: EngineName): Reading<string[]> {
  const rows = yield engine === 'sqlite'
    ? 'select name from sqlite_schema'
    : `select relname as name from pg_catalog.pg_class
       where relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())`;
  return rows.map(({ name }) => String(name));
}

/** One column of a table; empty if there is no such table. */
export function* readColumn(
  engine: EngineName,
  { table, column, rest = '' }: { table: string; column: string; rest?: string },
): Reading<string[]> {
  if (!(yield* readColumns(engine, table)).includes(column)) return [];
  const rows = yield `select ${column} as value from ${table} ${rest}`;
  return rows.map(({ value }) => String(value));
}
