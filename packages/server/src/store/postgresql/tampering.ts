// What in a PostgreSQL schema is not as the migrations created it, from its catalog.
import type { Reading } from '../reading.ts';
import type { Shape } from '../shape.ts';

interface Found {
  name: string;
  kind: string;
  isSecured: boolean;
  /** The names of triggers and rules on it, of tables that inherit from it or from which it inherits. */
  hooks: string[];
  /** The names of its constraints, besides primary key and NOT NULL, and of foreign keys to it. */
  constraints: string[];
  columns: string[];
  indexes: { name: string; isUnique: boolean; definition: string }[];
}

/** Other engines with this protocol describe themselves differently in their catalogs. */
const isPostgres = (version: string) => /^PostgreSQL /.test(version) && !version.includes('-YB-');

export function* findInPostgres({ tables, indexes }: Shape): Reading<string | null> {
  const [{ version } = { version: '' }] = yield 'select version() as version';
  if (!isPostgres(String(version))) return null;
  const rows = (yield factsOf([...tables.keys()])) as unknown as Found[];
  for (const [name, definitions] of tables) {
    const row = rows.find((each) => each.name === name);
    if (!row) return `has no table ${name}, which BackChannel created`;
    if (row.kind !== 'r') return `has something else in place of its table ${name}`;
    if (row.isSecured) return `has row security on its table ${name}, which BackChannel did not set`;
    const [extra] = [...row.hooks, ...row.constraints];
    if (extra !== undefined) return `has ${extra} on its table ${name}, which BackChannel did not create`;
    const columns = definitions.map(factOf);
    if (row.columns.join() !== columns.join()) return changed('table', name);

    const primary = definitions.filter((each) => each.includes('primary key')).map((each) => each.split(' ', 1));
    const expected = new Map([...indexes].filter(([, { table }]) => table === name));
    for (const columns of primary) expected.set(`${name}_pkey`, { table: name, isUnique: true, columns });
    for (const index of row.indexes) {
      const known = expected.get(index.name);
      if (!known) return `has an index called ${index.name}, which BackChannel did not create`;
      const isAsCreated =
        index.isUnique === known.isUnique && index.definition === `btree (${known.columns.join(', ')})`;
      if (!isAsCreated) return changed('index', index.name);
      expected.delete(index.name);
    }
    for (const missing of expected.keys()) return `has no index ${missing}, which BackChannel created`;
  }
  return null;
}

const changed = (kind: string, name: string) => `has changes to its ${kind} ${name} that BackChannel did not make`;

const types: Record<string, string> = {
  'varchar(255)': 'character varying(255)',
  'timestamptz(6)': 'timestamp(6) with time zone',
};

/** A column's definition in a migration, in the words of the query below. */
function factOf(definition: string): string {
  const [, name = '', type = '', rest = ''] = /^(\w+) (\S+) (.*)$/.exec(definition) ?? [];
  const value = /default (\S+)/.exec(rest)?.[1] ?? '';
  return `${name} ${types[type] ?? type} ${rest.includes('not null') ? 'not null' : 'null'} ${value}`.trim();
}

/** The ledger of 0.1 has defaults, which are never evaluated. */
const factsOf = (names: readonly string[]) => `
  select c.relname as name, c.relkind as kind, c.relrowsecurity or c.relforcerowsecurity as "isSecured",
    array(
      select 'a trigger called ' || tgname from pg_catalog.pg_trigger where tgrelid = c.oid and not tgisinternal
      union all select 'a rule called ' || rulename from pg_catalog.pg_rewrite where ev_class = c.oid
      union all select 'a policy called ' || polname from pg_catalog.pg_policy where polrelid = c.oid
      union all select 'an inheritance' from pg_catalog.pg_inherits where c.oid in (inhrelid, inhparent)
    ) as hooks,
    array(
      select 'a constraint called ' || conname from pg_catalog.pg_constraint
      where (conrelid = c.oid and contype not in ('p', 'n')) or (confrelid = c.oid)
    ) as constraints,
    array(
      select trim(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
        || case when a.attnotnull then ' not null ' else ' null ' end
        || case when c.relname = 'migrations' and d.adbin is not null and a.attgenerated = '' then ''
           else coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') end
        || case when a.attgenerated <> '' then ' generated' else '' end
        || case when a.attidentity <> '' then ' identity' else '' end
        || case when a.attcollation <> t.typcollation then ' collation' else '' end)
      from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
        left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as columns,
    coalesce((
      select json_agg(json_build_object('name', r.relname, 'isUnique', i.indisunique, 'definition',
        regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), '^.*? USING ', '')
        || case when i.indisvalid and i.indisready then '' else ' invalid' end))
      from pg_catalog.pg_index i join pg_catalog.pg_class r on r.oid = i.indexrelid where i.indrelid = c.oid
    ), '[]') as indexes
  from pg_catalog.pg_class c
  where c.relnamespace = (select oid from pg_catalog.pg_namespace where nspname = current_schema())
    and c.relname in (${names.map((name) => `'${name}'`).join(', ')})`;
