// Which user owns the data. The server can't use files that another user (root included) creates there.
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import { errorCode } from '../error-code.ts';

/** The data belongs to another user. */
export interface ForeignOwner {
  /** One sentence, with the command to run instead. */
  text: string;
}

const ROOT = 0;

/** Which user must run this if the data belongs to another one. Otherwise null. */
export function findForeignOwner({ dataDir, database }: Pick<Config, 'dataDir' | 'database'>): ForeignOwner | null {
  const me = process.getuid?.();
  // Windows has neither user ids nor sudo.
  if (me === undefined) return null;
  // With PostgreSQL there are no files.
  if (database.engine !== 'sqlite') return null;
  for (const folder of new Set([dataDir, dirname(database.file)])) {
    const owner = findOwner(folder, database.file);
    if (owner === null || owner.uid === me) continue;
    const text =
      `${owner.folder} belongs to another user, whose server could not use files that this user creates there; ` +
      `run this as that user: sudo -u ${nameOf(owner.uid)} backchannel …`;
    return { text };
  }
  return null;
}

/** The user who creates files in a folder. Null if nobody has yet. */
function findOwner(folder: string, file: string): { folder: string; uid: number } | null {
  const uid = uidOf(folder);
  if (uid === 'missing') {
    const above = dirname(folder) === folder ? null : findOwner(dirname(folder), file);
    // Root owns system folders, but another user may own what is created in them.
    return above?.uid === ROOT ? null : above;
  }
  // A mounted volume often belongs to root while another user's server writes to it. The database file shows which.
  const writer = uid === ROOT ? uidOf(file) : uid;
  return writer === 'missing' ? null : { folder, uid: writer };
}

/** Root's id if the owner can't be read, because then a folder of root's blocks the way. */
function uidOf(path: string): number | 'missing' {
  try {
    return statSync(path).uid;
  } catch (error) {
    return ['ENOENT', 'ENOTDIR'].includes(errorCode(error)) ? 'missing' : ROOT;
  }
}

/** The user for `sudo -u`: a name, or `'#1000'` (quoted for the shell) if the id has no name. */
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
