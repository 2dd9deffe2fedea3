// The database, where there is one: whether it can be read, and belongs to this version. It is looked at and not changed.
import { advice, type Finding, ok } from '@backchannel/server/checks/finding';
import type { Config } from '@backchannel/server/config';
import type { DatabaseState } from '@backchannel/server/inspect';
import { Failure } from '../failure.ts';
import { lookIntoDatabase } from '../services.ts';

const about = 'database';

export interface CheckedDatabase {
  findings: Finding[];
  /** The hash of the master password that is kept; null where none is, or there is no database; undefined if unknown. */
  passwordHash: string | null | undefined;
  /** The ids of the keys that were last used there, as far as they are known. */
  signingKeys: readonly string[];
}

/** What is known of one that is not looked into. */
export const unseenDatabase: CheckedDatabase = { findings: [], passwordHash: undefined, signingKeys: [] };

export async function checkDatabase(config: Config): Promise<CheckedDatabase> {
  try {
    const state = await lookIntoDatabase(config);
    if (!state) return { findings: [], passwordHash: null, signingKeys: [] };
    return { findings: checkState(state), passwordHash: state.passwordHash, signingKeys: state.signingKeys };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { ...unseenDatabase, findings: [{ level: 'fault', about, text: error.message }] };
  }
}

function checkState({ applied, pending, unknown }: DatabaseState): Finding[] {
  if (unknown.length > 0) {
    const text = `a newer version has been at work here (${unknown.join(', ')}), and this one will not start: run that one`;
    return [{ level: 'fault', about, text }];
  }
  if (pending.length > 0) {
    const copies = applied.length > 0 ? ', and copies it first' : '';
    return [advice(about, `is an older version's: the next start applies ${pending.join(', ')}${copies}`)];
  }
  return [ok(about, 'can be read, and all migrations are applied')];
}
