// Whether an existing database can be read and matches this version. It only reads.
import { existsSync } from 'node:fs';
import { type Config, type DatabaseAddress, nameOfDatabase } from '../config/config.ts';
import type { DatabaseState } from '../store/inspect.ts';
import { advice, type Finding, ok } from './finding.ts';

const about = 'database';

export interface CheckedDatabase {
  findings: Finding[];
  /** The hash of the stored master password. Null if there is none, or no database yet. Undefined if unknown. */
  passwordHash: string | null | undefined;
  /** The ids of the keys last used with the database. Empty if unknown. */
  signingKeys: readonly string[];
}

/** What is known about a database that was not opened. */
export const unseenDatabase: CheckedDatabase = { findings: [], passwordHash: undefined, signingKeys: [] };

/** The database can't be read. The message is one sentence for the user. */
export class DatabaseUnusableError extends Error {
  override readonly name = 'DatabaseUnusableError';

  constructor(database: DatabaseAddress, cause: unknown) {
    super(`The database ${nameOfDatabase(database)} cannot be used: ${reasonText(cause)}.`, { cause });
  }
}

/**
 * What the database contains, without a migration or any other change. Null if there is no database yet.
 * @throws DatabaseUnusableError
 */
export async function readDatabaseState(database: DatabaseAddress): Promise<DatabaseState | null> {
  if (database.engine === 'sqlite' && !existsSync(database.file)) return null;
  // Loaded here because the drivers are slow to load and most commands need none.
  const { inspectDatabase, inspectPostgres } = await import('../store/inspect.ts');
  try {
    return database.engine === 'sqlite' ? inspectDatabase(database.file) : await inspectPostgres(database);
  } catch (error) {
    throw new DatabaseUnusableError(database, error);
  }
}

export async function checkDatabase({ database }: Pick<Config, 'database'>): Promise<CheckedDatabase> {
  try {
    const state = await readDatabaseState(database);
    if (!state) return { findings: [], passwordHash: null, signingKeys: [] };
    return { findings: checkState(state), passwordHash: state.passwordHash, signingKeys: state.signingKeys };
  } catch (error) {
    if (!(error instanceof DatabaseUnusableError)) throw error;
    return { ...unseenDatabase, findings: [{ level: 'fault', about, text: error.message }] };
  }
}

function checkState({ applied, pending, unknown, problem }: DatabaseState): Finding[] {
  if (unknown.length > 0) {
    const text = `a newer version has used this database (${unknown.join(', ')}), so this version will not start: run the newer one`;
    return [{ level: 'fault', about, text }];
  }
  if (problem !== null) return [{ level: 'fault', about, text: problem }];
  if (pending.length > 0) {
    const copies = applied.length > 0 ? ', and copies it first' : '';
    return [advice(about, `is from an older version: the next start applies ${pending.join(', ')}${copies}`)];
  }
  return [ok(about, 'can be read, and all migrations are applied')];
}

/** Node gives only a code if every address of a name refuses the connection. */
function reasonText(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return reason.message || ('code' in reason ? String(reason.code) : reason.name);
}
