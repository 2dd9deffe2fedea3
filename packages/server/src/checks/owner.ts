// Whose files they are. What another user makes in a data folder, root included, its server could not use any more.
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';

/** The data belongs to somebody else. */
export interface ForeignOwner {
  /** One sentence, with the line that is to be run instead. */
  text: string;
}

const ROOT = 0;

/** Who has to run this, where the data belongs to another user than the one who does; else null. */
export function findForeignOwner({ dataDir, database }: Pick<Config, 'dataDir' | 'database'>): ForeignOwner | null {
  const me = process.getuid?.();
  // On Windows there is no such number, and no sudo to mend it.
  if (me === undefined) return null;
  // On a database server there are no files to be anybody's.
  if (database.engine !== 'sqlite') return null;
  for (const folder of new Set([dataDir, dirname(database.file)])) {
    const owner = findOwner(folder, database.file);
    if (owner === null || owner.uid === me) continue;
    const text =
      `${owner.folder} belongs to another user, whose server could not use files that this one makes there; ` +
      `run this as that user: sudo -u ${nameOf(owner.uid)} backchannel …`;
    return { text };
  }
  return null;
}

/** Who makes files in a folder; null where nobody has yet. */
function findOwner(folder: string, file: string): { folder: string; uid: number } | null {
  const uid = uidOf(folder);
  if (uid === 'missing') {
    const above = dirname(folder) === folder ? null : findOwner(dirname(folder), file);
    // System folders are root's, and what is made in them may well be somebody else's.
    return above?.uid === ROOT ? null : above;
  }
  // A mounted volume often belongs to root, though the server that writes in it is another user: its file tells.
  const writer = uid === ROOT ? uidOf(file) : uid;
  return writer === 'missing' ? null : { folder, uid: writer };
}

/** Root's where it is not to be told: then a folder of root's keeps us out. */
function uidOf(path: string): number | 'missing' {
  try {
    return statSync(path).uid;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : ROOT;
  }
}

/** As `sudo -u` takes it: `'#1000'`, quoted for the shell, where the number has no name. */
function nameOf(uid: number): string {
  const entries = readUsers().map((line) => line.split(':'));
  const name = entries.find(([, , number]) => number === String(uid))?.[0] ?? '';
  return /^[\w.-]+$/.test(name) ? name : `'#${uid}'`;
}

function readUsers(): string[] {
  try {
    return readFileSync('/etc/passwd', 'utf8').split('\n');
  } catch {
    return [];
  }
}
