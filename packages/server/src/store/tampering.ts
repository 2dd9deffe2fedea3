/**
 * Whether the tables of a database are as the migrations created them. Someone who could write the database may have left
 * something that undoes a revocation or adds a token later, such as a trigger. Tables of other programs are ignored.
 */
import type { Ledger } from './ledger.ts';
import { findInPostgres } from './postgresql/tampering.ts';
import type { EngineName, Reading } from './reading.ts';
import { shapeOf } from './shape.ts';
import { findInFile } from './sqlite/tampering.ts';

/** What is not as it was created, said of the database; null if nothing is. It takes one or two queries of the catalog. */
export function* readTampering(engine: EngineName, ledger: Ledger): Reading<string | null> {
  // What the tables of a newer version are, this code does not know.
  if (ledger.unknown.length > 0) return null;
  const shape = shapeOf(engine, ledger);
  const found = engine === 'sqlite' ? yield* findInFile(shape) : yield* findInPostgres(shape);
  return (
    found &&
    `${found.replace(/\p{Cc}/gu, '?')}: whoever did that may have changed more, so restore a backup from before`
  );
}
