// What a migration is: statements, as text. store/shape.ts reads them as well, to know the tables that they create.
import { PREFIX } from '../names.ts';
import type { EngineName } from '../reading.ts';

/** Where a migration runs. */
export interface Place {
  readonly engine: EngineName;
  /** What the names of tables and indexes begin with. Up to 0.1 it was nothing. From 0005 on, write the prefix out. */
  readonly p: string;
  /** The type of a column with true or false. SQLite has none of its own. */
  readonly flag: 'integer' | 'boolean';
  /** Whether 0.1 created the database. */
  readonly isEarlier: boolean;
}

export interface StoreMigration {
  readonly name: string;
  up(place: Place): string[];
  down(place: Place): string[];
}

export const placeOf = (engine: EngineName, { isEarlier }: { isEarlier: boolean }): Place => ({
  engine,
  p: isEarlier ? '' : PREFIX,
  flag: engine === 'sqlite' ? 'integer' : 'boolean',
  isEarlier,
});
