/**
 * Puts a backup in the place of the database: checked first, while nobody has the database open, and with what it
 * replaces kept beside it. At each moment there is one whole database under the name.
 */
import { existsSync, linkSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { errorCode } from '../../error-code.ts';
import { prepareDataFolder } from '../data-folder.ts';
import { hasTable, inspectOpen } from '../inspect.ts';
import { takeSecretKey } from './backup.ts';
import { asCopyError, type Contents, CopyError, draftCopy } from './copy.ts';

export interface Restored extends Contents {
  /** Where the database that was there is now; null where there was none. */
  replaced: string | null;
  /** The key that came with the backup; null where none did. */
  secretKey: string | null;
  /** Sessions and tokens that were ended after the backup was made, and stay so. */
  keptEnded: number;
  /** Whether the password has been changed since: the backup's counts again. */
  isPasswordOlder: boolean;
  /** Whether the database that was there could be asked for that. */
  isReadable: boolean;
}

/**
 * Restores `from` as the database `to`. `stamp` tells what is replaced from what others have replaced.
 *
 * What was revoked after the backup stays revoked, as far as the replaced database can still be read: else a restore
 * would let a stolen session in again.
 * @throws CopyError when `from` is no backup that this version can use, or a server has `to` open.
 */
export function restoreBackup(from: string, to: string, options: { stamp: string }): Restored {
  refuseSource(from, to);
  prepareDataFolder(dirname(to));
  let secretKey: string | null = null;
  let since: Since = existsSync(to) ? unreadable : nothing;
  using current = holdAlone(to);
  using copy = draftCopy(from, to, (db) => {
    const { unknown } = inspectOpen(db);
    if (unknown.length > 0) {
      throw new CopyError(`${from} is of a newer BackChannel (${unknown.join(', ')}): restore it with that one.`);
    }
    secretKey = takeSecretKey(db);
    if (current.db) since = tryCarryOver(current.db, db);
  });
  try {
    const replaced = keepReplaced(to, `${to}.replaced-${options.stamp}`);
    copy.place({ replace: true });
    return { ...copy.contents, replaced, secretKey, ...since };
  } catch (error) {
    throw asCopyError(error, { from, to });
  }
}

function refuseSource(from: string, to: string): void {
  const stat = look(from);
  if (!stat) throw new CopyError(`${from} is not there.`);
  if (!stat.isFile()) throw new CopyError(`${from} is no file.`);
  const there = look(to);
  if (there && there.ino === stat.ino && there.dev === stat.dev) throw new CopyError(`${from} is the database itself.`);
}

function look(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw new CopyError(`${path} cannot be read by this user (${errorCode(error)}).`, { cause: error });
  }
}

/**
 * Opens the database and keeps everybody else out. In WAL mode whoever has it open holds a lock on the file as long as
 * the process lives, a killed one no longer: leaving that mode needs to be alone. A server that starts meanwhile waits,
 * and opens what is there then. Without a database, or with one that is damaged, there is nothing to hold.
 */
function holdAlone(file: string): { db: Sqlite.Database | null } & Disposable {
  if (!existsSync(file)) return { db: null, [Symbol.dispose]: () => {} };
  const db = new Sqlite(file, { fileMustExist: true, timeout: 0 });
  try {
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = DELETE');
    db.exec('begin exclusive');
    return { db, [Symbol.dispose]: () => db.close() };
  } catch (error) {
    db.close();
    if (isDamage(error)) return { db: null, [Symbol.dispose]: () => {} };
    if (!/^SQLITE_(BUSY|LOCKED)/.test(errorCode(error))) throw asCopyError(error, { from: file, to: file });
    throw new CopyError(`${file} is in use: stop the server first, and whatever else has it open.`, { cause: error });
  }
}

interface Since {
  keptEnded: number;
  isPasswordOlder: boolean;
  isReadable: boolean;
}
const nothing: Since = { keptEnded: 0, isPasswordOlder: false, isReadable: true };
const unreadable: Since = { ...nothing, isReadable: false };

const isDamage = (error: unknown) => /^SQLITE_(NOTADB|CORRUPT)/.test(errorCode(error));

function tryCarryOver(current: Sqlite.Database, restored: Sqlite.Database): Since {
  try {
    return hasTable(current, 'events') ? carryOver(current, restored) : nothing;
  } catch (error) {
    if (isDamage(error)) return unreadable;
    throw error;
  }
}

/** Ends in `restored` what `current` has ended since. Events tell: the rows are deleted soon after their end. */
function carryOver(current: Sqlite.Database, restored: Sqlite.Database): Since {
  const latestChange = (db: Sqlite.Database) =>
    Number(db.prepare("select coalesce(max(at), 0) from events where type = 'password.changed'").pluck().get());
  const changedAt = latestChange(current);
  const isPasswordOlder = changedAt > latestChange(restored);
  const end = (table: string, condition: string, value: string | number) =>
    hasTable(restored, table)
      ? restored.prepare(`update ${table} set ended_at = created_at where ended_at is null and ${condition}`).run(value)
          .changes
      : 0;
  // Sessions are bound to the password: a change has ended those before it.
  let keptEnded = isPasswordOlder ? end('sessions', 'created_at < ?', changedAt) : 0;
  const ended = current
    .prepare<[], { sessionId: string | null; tokenId: string | null; type: string }>(
      `select session_id as sessionId, token_id as tokenId, type from events
       where type in ('session.revoked', 'logout', 'token.revoked')`,
    )
    .all();
  for (const { type, sessionId, tokenId } of ended) {
    if (type === 'token.revoked' && tokenId !== null) keptEnded += end('tokens', 'id = ?', tokenId);
    if (type !== 'token.revoked' && sessionId !== null) keptEnded += end('sessions', 'id = ?', sessionId);
  }
  return { keptEnded, isPasswordOlder, isReadable: true };
}

/** Gives what is there a second name, and takes away what SQLite would read along with another file of that name. */
function keepReplaced(file: string, kept: string): string | null {
  for (const suffix of ['-wal', '-shm', '-journal']) {
    if (existsSync(file + suffix)) renameSync(file + suffix, kept + suffix);
  }
  if (!existsSync(file)) return null;
  try {
    linkSync(file, kept);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw error;
    // Some file systems know no second names.
    renameSync(file, kept);
  }
  return kept;
}
