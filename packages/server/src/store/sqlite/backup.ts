// Backups. A backup is one file with the database and the key that signs its sessions. The server can keep running.
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type Sqlite from 'better-sqlite3';
import { errorCode } from '../../error-code.ts';
import { hasTable } from '../inspect.ts';
import { nameOf } from '../names.ts';
import { type Contents, CopyError, draftCopy } from './copy.ts';

/** The table that only backups have. */
const TABLE = nameOf('backup');
/** Its name up to 0.1. */
const EARLIER_TABLE = 'backup';

/**
 * Writes a complete backup of the database `from` to `to`, with mode 0600. On failure it leaves no file.
 *
 * The backup includes `secretKey` if it is stored in the data folder; without it, a restore would sign everyone out. Null
 * means that the key is in the environment. The key alone grants no access, because the database holds only hashes.
 * @throws CopyError if the backup fails, or if `to` exists and `replace` is not set
 */
export function writeBackup(
  from: string,
  to: string,
  options: { secretKey: string | null; version: string; at: number; replace?: boolean },
): Contents {
  const { secretKey, version, at, replace = false } = options;
  refuseTarget(from, to, replace);
  using copy = draftCopy(from, to, {
    finish: (db) => {
      db.exec(`create table ${TABLE} (made_at bigint not null, version text not null, secret_key text null)`);
      db.prepare(`insert into ${TABLE} values (?, ?, ?)`).run(at, version, secretKey);
    },
  });
  copy.place({ replace });
  return copy.contents;
}

/** The key in a backup, or null if there is none. */
export function readSecretKey(db: Sqlite.Database): string | null {
  const table = [TABLE, EARLIER_TABLE].find((name) => hasTable(db, name));
  if (table === undefined) return null;
  const key = db.prepare(`select secret_key from ${table}`).pluck().get();
  return typeof key === 'string' ? key : null;
}

function refuseTarget(from: string, to: string, replace: boolean): void {
  const own = [from, `${from}-wal`, `${from}-shm`, join(dirname(from), 'secret.key')].map(realPath);
  if (own.includes(realPath(to))) throw new CopyError(`${to} belongs to the server itself; name another file.`);
  const there = look(to);
  if (there?.isDirectory()) throw new CopyError(`${to} is a folder; name a file in it.`);
  if (there && !there.isFile()) throw new CopyError(`${to} is not a regular file; name another one.`);
  if (there && !replace) throw new CopyError(`${to} already exists; name another file, or overwrite it with --force.`);
}

function look(path: string) {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new CopyError(`${path} cannot be written by this user (${errorCode(error)}).`, { cause: error });
  }
}

/** The path with all links resolved. The file itself need not exist. */
function realPath(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const folder = dirname(absolute);
  return existsSync(folder) ? join(realpathSync(folder), basename(absolute)) : absolute;
}
