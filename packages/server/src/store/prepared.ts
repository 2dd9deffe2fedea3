// Statements for the hot paths: sign-ins, and checks that are not answered from memory. Their text is constant, with `?`
// for values, so SQLite prepares each one once. MikroORM takes ten times as long and prepares each statement again, so it
// serves only the rest.
import type { EntityMetadata, EntitySchema, InferEntity } from '@mikro-orm/core';
import { CompiledQuery } from 'kysely';
import type { EntityManager } from './engine.ts';

type Value = string | number | boolean | null;
type Name<Entity> = keyof InferEntity<Entity> & string;

/** All statement texts so far. There are few: a text varies only in its number of values, which stays small. */
const texts = new Set<string>();

/** Whether an engine may keep the prepared statement of this text. */
export const isPrepared = (sql: string): boolean => texts.has(sql);

/** Runs one statement within the caller's unit of work. `sql` must be valid on every engine. */
export async function run<Row = never>(
  em: EntityManager,
  sql: string,
  values: readonly Value[],
): Promise<{ rows: Row[]; affected: number }> {
  texts.add(sql);
  // SQLite has no booleans, and PostgreSQL accepts 0 and 1 where it expects one.
  const parameters = values.map((value) => (typeof value === 'boolean' ? Number(value) : value));
  const { rows, numAffectedRows } = await em.getKysely().executeQuery<Row>(CompiledQuery.raw(sql, parameters));
  return { rows, affected: Number(numAffectedRows ?? 0) };
}

/** The rows of a select. `rest` is the statement from its `where` on. */
export async function find<Entity extends EntitySchema>(
  em: EntityManager,
  entity: Entity,
  rest: string,
  values: readonly Value[],
): Promise<InferEntity<Entity>[]> {
  const { table, booleans, all } = tableOf(em, entity);
  const { rows } = await run<Record<string, unknown>>(em, `select ${all} from ${table} ${rest}`, values);
  for (const row of rows) for (const each of booleans) row[each] = Boolean(row[each]);
  return rows as InferEntity<Entity>[];
}

/** The rows whose property is one of these values. */
export async function findBy<Entity extends EntitySchema>(
  em: EntityManager,
  entity: Entity,
  name: Name<Entity>,
  values: readonly string[],
): Promise<InferEntity<Entity>[]> {
  const { columns } = tableOf(em, entity);
  return find(em, entity, `where ${columns[name]} in (${values.map(() => '?').join(', ')})`, values);
}

/** The one row whose property has this unique value, or null. */
export async function findOneBy<Entity extends EntitySchema>(
  em: EntityManager,
  entity: Entity,
  name: Name<Entity>,
  value: string,
): Promise<InferEntity<Entity> | null> {
  const [row] = await findBy(em, entity, name, [value]);
  return row ?? null;
}

/** How many rows a select finds. `rest` is the statement from its `where` on. */
export async function count(
  em: EntityManager,
  entity: EntitySchema,
  rest: string,
  values: readonly Value[],
): Promise<number> {
  const { table } = tableOf(em, entity);
  const { rows } = await run<{ count: number }>(em, `select count(*) as count from ${table} ${rest}`, values);
  return rows[0]?.count ?? 0;
}

/** Adds a row. */
export async function insert<Entity extends EntitySchema>(
  em: EntityManager,
  entity: Entity,
  row: Record<Name<Entity>, Value>,
): Promise<void> {
  const { table, columns } = tableOf(em, entity);
  const names = Object.keys(columns);
  const fields = Object.values(columns).join(', ');
  const sql = `insert into ${table} (${fields}) values (${names.map(() => '?').join(', ')})`;
  await run(
    em,
    sql,
    names.map((name) => row[name as Name<Entity>]),
  );
}

/** Changes the rows whose properties have the values in `which`. Returns how many there were. */
export async function update<Entity extends EntitySchema>(
  em: EntityManager,
  entity: Entity,
  which: Partial<Record<Name<Entity>, string>>,
  changes: Partial<Record<Name<Entity>, Value>>,
): Promise<number> {
  const { table, columns } = tableOf(em, entity);
  const equals = (name: string) => `${columns[name]} = ?`;
  const sets = Object.keys(changes).map(equals).join(', ');
  const wheres = Object.keys(which).map(equals).join(' and ');
  const values = [...Object.values(changes), ...Object.values(which)] as Value[];
  return (await run(em, `update ${table} set ${sets} where ${wheres}`, values)).affected;
}

interface Table {
  table: string;
  /** The column of each property. */
  columns: Record<string, string>;
  booleans: string[];
  /** The list of all columns for a select. */
  all: string;
}

const tables = new WeakMap<EntitySchema, Table>();

/** The table of an entity, from MikroORM's metadata. */
function tableOf(em: EntityManager, entity: EntitySchema): Table {
  const known = tables.get(entity);
  if (known) return known;
  const { tableName, props }: EntityMetadata = em.getMetadata().get(entity);
  const columns = Object.fromEntries(props.map(({ name, fieldNames }) => [name, fieldNames[0] ?? name]));
  const table = {
    table: tableName,
    columns,
    booleans: props.filter(({ runtimeType }) => runtimeType === 'boolean').map(({ name }) => name),
    all: Object.entries(columns)
      .map(([name, column]) => `${column} as "${name}"`)
      .join(', '),
  };
  tables.set(entity, table);
  return table;
}
