// A backup: one file with the database and the key that signed its sessions, made beside a running server.
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type Sqlite from 'better-sqlite3';
import { errorCode } from '../../error-code.ts';
import { hasTable } from '../inspect.ts';
import { type Contents, CopyError, draftCopy } from './copy.ts';

/** The table that only backups have. */
const TABLE = 'backup';

/**
 * Writes a backup of the database `from` to `to`, with mode 0600, whole or not at all.
 *
 * `secretKey` goes along where it is kept in the data folder: without it a restored database would sign everyone out.
 * It opens nothing by itself, for the database holds no secret but hashes; null where the environment has it.
 * @throws CopyError when it can't be made, or would write over a file without `replace`.
 */
export function writeBackup(
  from: string,
  to: string,
  options: { secretKey: string | null; version: string; at: number; replace?: boolean },
): Contents {
  const { secretKey, version, at, replace = false } = options;
  refuseTarget(from, to, replace);
  using copy = draftCopy(from, to, (db) => {
    db.exec(`create table ${TABLE} (made_at bigint not null, version text not null, secret_key text null)`);
    db.prepare(`insert into ${TABLE} values (?, ?, ?)`).run(at, version, secretKey);
  });
  copy.place({ replace });
  return copy.contents;
}

/** The key in a backup, and the backup without it: a database as any other. Null where there is none. */
export function takeSecretKey(db: Sqlite.Database): string | null {
  if (!hasTable(db, TABLE)) return null;
  const key = db.prepare(`select secret_key from ${TABLE}`).pluck().get();
  // Else it would stay in the file, in what is free.
  db.pragma('secure_delete = ON');
  db.exec(`drop table ${TABLE}`);
  return typeof key === 'string' ? key : null;
}

function refuseTarget(from: string, to: string, replace: boolean): void {
  const own = [from, `${from}-wal`, `${from}-shm`, join(dirname(from), 'secret.key')].map(realPath);
  if (own.includes(realPath(to))) throw new CopyError(`${to} belongs to the server itself; name another file.`);
  const there = look(to);
  if (there?.isDirectory()) throw new CopyError(`${to} is a folder; name a file in it.`);
  if (there && !there.isFile()) throw new CopyError(`${to} is no ordinary file; name another one.`);
  if (there && !replace)
    throw new CopyError(`${to} is there already; name another file, or write over it with --force.`);
}

function look(path: string) {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new CopyError(`${path} cannot be written by this user (${errorCode(error)}).`, { cause: error });
  }
}

/** Where a path leads, whatever links it goes through; also of a file that is yet to be made. */
function realPath(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const folder = dirname(absolute);
  return existsSync(folder) ? join(realpathSync(folder), basename(absolute)) : absolute;
}
