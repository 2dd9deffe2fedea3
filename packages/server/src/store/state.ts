// What a database holds, as far as a start needs to know before it changes anything. It only reads.
import { type Ledger, readLedger } from './ledger.ts';
import { type EngineName, type Reading, readColumn, readRelations } from './reading.ts';
import { findTaken, takenText } from './taken.ts';
import { readTampering } from './tampering.ts';

/**
 * What a database holds. `applied` is empty if this is not a BackChannel database, and `unknown` has migrations if a newer
 * version has used it.
 */
export interface DatabaseState extends Ledger {
  /** What this version cannot accept about the database, said of it; null if nothing. */
  problem: string | null;
  /** The stored hash of the master password; null if there is none. */
  passwordHash: string | null;
  /** The ids of the keys that were last used with the database; empty if it has none. */
  signingKeys: string[];
}

export function* readState(engine: EngineName): Reading<DatabaseState> {
  // Before the ledger: another process may be creating the tables.
  const names = yield* readRelations(engine);
  const ledger = yield* readLedger(engine);
  const values = (topic: string, column: string, rest = '') =>
    readColumn(engine, { table: `${ledger.prefix}${topic}`, column, rest });
  // Without a ledger, tables of these names are another program's.
  const isOurs = ledger.applied.length > 0;
  const [passwordHash = null] = isOurs ? yield* values('passwords', 'hash', "where origin = 'stored'") : [];
  const signingKeys = isOurs ? yield* values('signing_keys', 'id') : [];
  const [taken] = findTaken(names, ledger);
  const foreign = isOurs ? yield* readTampering(engine, ledger) : null;
  return { ...ledger, problem: taken === undefined ? foreign : takenText(taken), passwordHash, signingKeys };
}
