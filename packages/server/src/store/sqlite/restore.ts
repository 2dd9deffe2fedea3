/**
 * Replaces the database with a backup. The backup is checked first, no other process may have the database open, and the
 * replaced database is kept next to it. There is a complete database under the name at every moment.
 */
import { existsSync, linkSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { errorCode } from '../../error-code.ts';
import { prepareDataFolder } from '../data-folder.ts';
import { hasTable, inspectOpen } from '../inspect.ts';
import { readSecretKey } from './backup.ts';
import { asCopyError, type Contents, CopyError, draftCopy } from './copy.ts';

export interface Restored extends Contents {
  /** The new path of the replaced database; null if there was none. */
  replaced: string | null;
  /** The key in the backup; null if it has none. */
  secretKey: string | null;
  /** How many sessions and tokens ended after the backup was made, and stay ended. */
  keptEnded: number;
  /** Whether the password was changed after the backup. The older password is in effect again. */
  isPasswordOlder: boolean;
  /** Whether the replaced database was readable and as BackChannel created it, so that `keptEnded` and `isPasswordOlder` are known. */
  isReadable: boolean;
}

/**
 * Restores `from` as the database `to`. `stamp` makes the name of the replaced database unique.
 *
 * Sessions and tokens that were revoked after the backup stay revoked if the replaced database is readable. Otherwise a
 * restore would make a stolen session valid again.
 * @throws CopyError if this version cannot use `from` as a backup, or if another process has `to` open
 */
export function restoreBackup(from: string, to: string, options: { stamp: string }): Restored {
  refuseSource(from, to);
  prepareDataFolder(dirname(to));
  let secretKey: string | null = null;
  let since: Since = existsSync(to) ? unreadable : nothing;
  using current = holdAlone(to);
  const finish = (db: Sqlite.Database) => {
    const { unknown } = inspectOpen(db);
    if (unknown.length > 0) {
      throw new CopyError(
        `${from} was made by a newer BackChannel (${unknown.join(', ')}): restore it with that version.`,
      );
    }
    secretKey = readSecretKey(db);
    if (current.db) since = tryCarryOver(current.db, db);
  };
  using copy = draftCopy(from, to, { finish, isRebuilt: true });
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
  if (!stat) throw new CopyError(`${from} does not exist.`);
  if (!stat.isFile()) throw new CopyError(`${from} is not a file.`);
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
 * Opens the database with an exclusive lock. Leaving WAL mode fails while any other process has the database open; the lock
 * of a killed process is released. A server that starts in the meantime waits, and then opens the restored database. If the
 * database does not exist or is damaged, there is nothing to lock.
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
    throw new CopyError(`${file} is in use: stop the server and any other program that has it open.`, { cause: error });
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
    const { applied, problem } = inspectOpen(current);
    if (applied.length === 0) return nothing;
    // What a tampered database says of its revocations may not be all.
    return { ...carryOver(current, restored), ...(problem !== null && { isReadable: false }) };
  } catch (error) {
    if (errorCode(error).startsWith('SQLITE_')) return unreadable;
    throw error;
  }
}

/**
 * Ends in `restored` the sessions and tokens that ended in `current` after the backup. It reads the events, because rows are
 * deleted soon after they end.
 */
function carryOver(current: Sqlite.Database, restored: Sqlite.Database): Since {
  const names = new Map([current, restored].map((db) => [db, inspectOpen(db).prefix]));
  const nameIn = (db: Sqlite.Database, topic: string) => `${names.get(db)}${topic}`;
  const latestChange = (db: Sqlite.Database) => {
    const sql = `select coalesce(max(at), 0) from ${nameIn(db, 'events')} where type = 'password.changed'`;
    return Number(db.prepare(sql).pluck().get());
  };
  const changedAt = latestChange(current);
  const isPasswordOlder = changedAt > latestChange(restored);
  const end = (topic: string, condition: string, value: string | number) => {
    const table = nameIn(restored, topic);
    return hasTable(restored, table)
      ? restored.prepare(`update ${table} set ended_at = created_at where ended_at is null and ${condition}`).run(value)
          .changes
      : 0;
  };
  // Sessions are bound to the password, so a change ended all earlier sessions.
  let keptEnded = isPasswordOlder ? end('sessions', 'created_at < ?', changedAt) : 0;
  const ended = current
    .prepare<[], { sessionId: string | null; tokenId: string | null; type: string }>(
      `select session_id as sessionId, token_id as tokenId, type from ${nameIn(current, 'events')}
       where type in ('session.revoked', 'logout', 'token.revoked')`,
    )
    .all();
  for (const { type, sessionId, tokenId } of ended) {
    if (type === 'token.revoked' && tokenId !== null) keptEnded += end('tokens', 'id = ?', tokenId);
    if (type !== 'token.revoked' && sessionId !== null) keptEnded += end('sessions', 'id = ?', sessionId);
  }
  return { keptEnded, isPasswordOlder, isReadable: true };
}

/** Gives the current database a second name, and moves away the journal files, which SQLite would apply to the new one. */
function keepReplaced(file: string, kept: string): string | null {
  for (const suffix of ['-wal', '-shm', '-journal']) {
    if (existsSync(file + suffix)) renameSync(file + suffix, kept + suffix);
  }
  if (!existsSync(file)) return null;
  try {
    linkSync(file, kept);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw error;
    // Some file systems have no hard links.
    renameSync(file, kept);
  }
  return kept;
}
