// The tables and indexes that the migrations create, read from their statements. The check of a database at its start compares
// them with what is there.
import { EARLIER_LEDGER } from './earlier.ts';
import { LEDGER, type Ledger } from './ledger.ts';
import { migrations } from './migrations/index.ts';
import { type Place, placeOf } from './migrations/migration.ts';
import type { EngineName } from './reading.ts';

export interface Shape {
  /** The definition of each column of a table, in order. */
  tables: Map<string, string[]>;
  indexes: Map<string, { table: string; isUnique: boolean; columns: string[] }>;
}

type Applied = Pick<Ledger, 'applied' | 'table' | 'isEarlier'>;

/** The ledger's definition is MikroORM's in a database from 0.1. */
const earlierLedger: Record<EngineName, string> = {
  sqlite: `id integer not null primary key autoincrement, name text not null,
    executed_at datetime not null default (strftime('%s', 'now') * 1000)`,
  postgresql: 'id integer not null primary key, name varchar(255) not null, executed_at timestamptz(6) not null',
};

/** The statements that create an empty database with these migrations applied. */
export function creationOf(engine: EngineName, { applied, table, isEarlier }: Applied): string[] {
  const place: Place = placeOf(engine, { isEarlier });
  return [
    ...(isEarlier ? [`create table ${EARLIER_LEDGER} (${earlierLedger[engine]})`] : []),
    ...(table === LEDGER ? [`create table ${LEDGER} (name text not null primary key)`] : []),
    ...migrations.filter(({ name }) => applied.includes(name)).flatMap(({ up }) => up(place)),
  ];
}

/** @throws Error if a migration has a statement of another kind: teach it here, or write the statement differently. */
export function shapeOf(engine: EngineName, ledger: Applied): Shape {
  const shape: Shape = { tables: new Map(), indexes: new Map() };
  for (const sql of creationOf(engine, ledger)) apply(shape, sql.replace(/\s+/g, ' ').trim());
  return shape;
}

/** What each kind of statement does to the shape. */
const effects: [RegExp, (shape: Shape, ...parts: string[]) => void][] = [
  [/^create table (\w+) \((.*)\)$/, ({ tables }, name = '', columns = '') => void tables.set(name, split(columns))],
  [
    /^create (unique )?index (\w+) on (\w+) \(([\w, ]+)\)$/,
    ({ indexes }, unique, name = '', table = '', columns = '') =>
      void indexes.set(name, { table, isUnique: unique !== undefined, columns: split(columns) }),
  ],
  [/^alter table (\w+) add column (.+)$/, ({ tables }, name = '', column = '') => void tables.get(name)?.push(column)],
  [
    /^alter table (\w+) rename to (\w+)$/,
    ({ tables, indexes }, from = '', to = '') => {
      rename(tables, from, to);
      for (const index of indexes.values()) if (index.table === from) index.table = to;
    },
  ],
  [/^alter index (\w+) rename to (\w+)$/, ({ indexes }, from = '', to = '') => rename(indexes, from, to)],
  [/^drop index (\w+)$/, ({ indexes }, name = '') => void indexes.delete(name)],
  [/^(?:insert|update|delete) /, () => {}],
];

function apply(shape: Shape, sql: string): void {
  for (const [pattern, effect] of effects) {
    const match = pattern.exec(sql);
    if (match) {
      effect(shape, ...match.slice(1));
      return;
    }
  }
  throw new Error(`a migration has a statement of another kind: ${sql}`);
}

function rename<T>(map: Map<string, T>, from: string, to: string): void {
  const value = map.get(from);
  // The index of a primary key has no statement of its own.
  if (value === undefined) return;
  map.delete(from);
  map.set(to, value);
}

/** Splits at the commas outside parentheses. */
const split = (list: string): string[] => list.split(/,(?![^(]*\))/).map((each) => each.trim());
