// Which user owns the data. The server can't use files that another user (root included) creates there.
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import { commandLine } from '../config/installation.ts';
import { errorCode } from '../error-code.ts';
import { DataFolderError } from '../store/data-folder.ts';

/** The data belongs to another user. */
export interface ForeignOwner {
  /** The folder that shows it: one that holds data, or its nearest parent if there is none yet. */
  folder: string;
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
      `run this as that user: sudo -u ${nameOf(owner.uid)} ${commandLine} …`;
    return { folder: owner.folder, text };
  }
  return null;
}

/**
 * A server of one user that works on the data of another would leave files behind that the other can't use, such as
 * SQLite's log. A folder that doesn't exist yet is this server's to create.
 * @throws DataFolderError with the line that gives this user the data
 */
export function refuseForeignData(config: Pick<Config, 'dataDir' | 'database'>): void {
  const { dataDir, database } = config;
  const foreign = findForeignOwner(config);
  if (!foreign || database.engine !== 'sqlite' || ![dataDir, dirname(database.file)].includes(foreign.folder)) return;
  const { uid, gid, username } = userInfo();
  throw new DataFolderError(
    `DATA_DIR: ${foreign.folder} belongs to another user than ${username}, who runs this; run it as that user, or give it ` +
      `the data: sudo chown -R ${uid}:${gid} ${foreign.folder}`,
  );
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
