// What in a SQLite file is not as the migrations created it. SQLite keeps the text of each CREATE statement, so texts are
// compared: no constraint, default, collation or generated column can hide.
import type { Reading } from '../reading.ts';
import type { Shape } from '../shape.ts';

interface Found {
  type: string;
  name: string;
  table: string;
  sql: string | null;
}

export function* findInFile({ tables, indexes }: Shape): Reading<string | null> {
  const rows = (yield 'select type, name, tbl_name as "table", sql from sqlite_schema') as unknown as Found[];
  const references = yield `select m.name as name, lower(f."table") as target
    from sqlite_schema m, pragma_foreign_key_list(m.name) f where m.type = 'table'`;
  const isOurs = (name: string) => tables.has(name.toLowerCase());

  const trigger = rows.find(({ type, table, sql }) => type === 'trigger' && (isOurs(table) || mentions(sql, tables)));
  // SQLite cannot escape anything in a name, so a trigger of another table that writes to ours has its name in its text.
  if (trigger) return `has a trigger called ${trigger.name}, which BackChannel did not create`;
  const reference = references.find(({ target }) => isOurs(String(target)));
  if (reference) return `has a foreign key from ${reference.name} to ${reference.target}, which can stop a deletion`;

  for (const [name, columns] of tables) {
    const row = rows.find((each) => each.name.toLowerCase() === name);
    if (!row) return `has no table ${name}, which BackChannel created`;
    if (row.type !== 'table') return `has a ${row.type} in place of its table ${name}`;
    if (plain(row.sql) !== plain(`create table ${name} (${columns.join(', ')})`)) return changed('table', name);
  }
  for (const { name, table, sql } of rows.filter(({ type }) => type === 'index')) {
    // An index without a text belongs to a primary key, which is in the text of the table.
    if (!isOurs(table) || sql === null) continue;
    const own = indexes.get(name);
    if (!own) return `has an index called ${name}, which BackChannel did not create`;
    const text = `create ${own.isUnique ? 'unique ' : ''}index ${name} on ${own.table} (${own.columns.join(', ')})`;
    if (plain(sql) !== plain(text)) return changed('index', name);
  }
  const missing = [...indexes.keys()].find((name) => !rows.some((row) => row.type === 'index' && row.name === name));
  return missing === undefined ? null : `has no index ${missing}, which BackChannel created`;
}

const changed = (kind: string, name: string) => `has changes to its ${kind} ${name} that BackChannel did not make`;

const mentions = (sql: string | null, tables: Shape['tables']): boolean =>
  [...tables.keys()].some((name) => sql?.toLowerCase().includes(name) === true);

/** A statement without the differences that mean nothing: case, spaces, and quotes around a plain name. */
const plain = (sql: string | null): string =>
  (sql ?? '')
    .replace(/"(\w+)"|`(\w+)`|\[(\w+)\]/g, '$1$2$3')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/ ?([(),]) ?/g, '$1')
    .trim();
