// Databases of BackChannel up to 0.1, whose tables had no prefix.
import { type EngineName, type Reading, readColumn, readColumns } from './reading.ts';

/** Where the applied migrations were listed. Other programs have tables of this name, too. */
export const EARLIER_LEDGER = 'migrations';
/** The migration that gives the tables their prefix. */
export const RENAMING = '0005-prefix';

/**
 * The migrations in a ledger of such a version, or null if there is none. It stays behind when the ledger moves, with one
 * more row. So such a version refuses to start. Otherwise it would create an empty set of tables.
 */
export function* readEarlierLedger(engine: EngineName): Reading<string[] | null> {
  const columns = yield* readColumns(engine, EARLIER_LEDGER);
  if (!['id', 'name', 'executed_at'].every((name) => columns.includes(name))) return null;
  const names = yield* readColumn(engine, { table: EARLIER_LEDGER, column: 'name', rest: 'order by id' });
  return names[0] === '0001-seed' ? names : null;
}
