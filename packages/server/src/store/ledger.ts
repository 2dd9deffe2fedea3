// The table that lists the applied migrations, and what it says about a database.
import { EARLIER_LEDGER, RENAMING, readEarlierLedger } from './earlier.ts';
import { compareMigrations } from './migrations/index.ts';
import { nameOf, PREFIX } from './names.ts';
import { type EngineName, type Reading, readColumn, readColumns } from './reading.ts';

export const LEDGER = nameOf('migrations');

export interface Ledger extends ReturnType<typeof compareMigrations> {
  /** Its name, which was another one up to 0.1. Null if there is none. */
  table: typeof LEDGER | typeof EARLIER_LEDGER | null;
  /** Whether 0.1 created the database. */
  isEarlier: boolean;
  /** What the names of the tables begin with: the prefix, or nothing in a database that has not been upgraded yet. */
  prefix: string;
}

export function* readLedger(engine: EngineName): Reading<Ledger> {
  const isThere = (yield* readColumns(engine, LEDGER)).includes('name');
  const earlier = yield* readEarlierLedger(engine);
  const names = isThere ? yield* readColumn(engine, { table: LEDGER, column: 'name', rest: 'order by name' }) : earlier;
  const applied = names ?? [];
  return {
    ...compareMigrations(applied),
    table: isThere ? LEDGER : earlier && EARLIER_LEDGER,
    isEarlier: earlier !== null,
    prefix: earlier === null || applied.includes(RENAMING) ? PREFIX : '',
  };
}
