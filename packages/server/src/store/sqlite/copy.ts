/**
 * Copies of a SQLite file, made while others use it, and opened and checked before they count. It knows no service and
 * no command line: what a copy is for is in the files beside this one.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { errorCode } from '../../error-code.ts';
import { hasTable, inspectOpen } from '../inspect.ts';
import { migrations } from '../migrations/index.ts';

/** A copy can't be made, or must not be used. The message is one sentence, fit to be shown. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
}

/** What a checked copy holds. */
export interface Contents {
  /** The last migration that was applied to it. */
  schema: string;
  /** Migrations of this code that it lacks. */
  pending: string[];
  /** How many have not ended. */
  sessions: number;
  tokens: number;
  events: number;
}

/** How long a copy waits for whoever keeps the database to themselves, in milliseconds. */
const PATIENCE_MS = 5000;

/**
 * Writes a copy of `from` under a name of its own beside `to`, lets `finish` see to it, checks it, and returns it: it
 * takes its place by `place`, or is dropped when it goes out of scope.
 *
 * VACUUM INTO rather than SQLite's backup API: it reads one snapshot, which in WAL mode no writer waits for, while the
 * API begins anew whenever another process writes, and may never end beside a busy server. And what was deleted is not
 * in it: the API copies free pages, too.
 * @throws CopyError when it can't be read or written, is damaged, or is no database of BackChannel's.
 */
export function draftCopy(
  from: string,
  to: string,
  finish: (db: Sqlite.Database) => void = () => {},
): { contents: Contents; place(options: { replace: boolean }): void } & Disposable {
  const draft = `${to}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const drop = () => {
    for (const path of [draft, `${draft}-journal`]) rmSync(path, { force: true });
  };
  try {
    vacuumInto(from, draft);
    return {
      contents: finishAndCheck(from, draft, finish),
      place: ({ replace }) => {
        try {
          // What takes the name first has it: nobody's file is written over by two who looked at once.
          if (!replace) closeSync(openSync(to, 'wx', 0o600));
          renameSync(draft, to);
          flush(dirname(to));
        } catch (error) {
          throw asCopyError(error, { from, to });
        }
      },
      [Symbol.dispose]: drop,
    };
  } catch (error) {
    drop();
    throw asCopyError(error, { from, to });
  }
}

function vacuumInto(from: string, draft: string): void {
  // SQLite takes an empty file as it is, with its mode.
  closeSync(openSync(draft, 'wx', 0o600));
  const source = new Sqlite(from, { fileMustExist: true, timeout: PATIENCE_MS });
  try {
    source.prepare('vacuum into ?').run(draft);
  } finally {
    source.close();
  }
}

function finishAndCheck(from: string, draft: string, finish: (db: Sqlite.Database) => void): Contents {
  const db = new Sqlite(draft, { fileMustExist: true });
  try {
    const faults = db.pragma('integrity_check', { simple: true });
    if (faults !== 'ok') throw new CopyError(`${from} is damaged: ${faults}.`);
    const { applied, pending } = inspectOpen(db);
    const [first] = migrations;
    const schema = applied.at(-1);
    if (schema === undefined || applied[0] !== first?.name)
      throw new CopyError(`${from} is no database of BackChannel's.`);
    finish(db);
    const count = (table: string, where = 'true') =>
      hasTable(db, table) ? Number(db.prepare(`select count(*) from ${table} where ${where}`).pluck().get()) : 0;
    return {
      schema,
      pending,
      sessions: count('sessions', 'ended_at is null'),
      tokens: count('tokens', 'ended_at is null'),
      events: count('events'),
    };
  } finally {
    db.close();
    flush(draft);
  }
}

/** A moment as it stands in the name of a file: `20260314T092653589Z`. */
export const stamp = (at: number): string => new Date(at).toISOString().replace(/[-:.]/g, '');

/** To the disk, not only to the system's memory. Windows opens no folders, and needs none flushed. */
export function flush(path: string): void {
  let handle: number;
  try {
    handle = openSync(path, 'r+');
  } catch {
    if (process.platform === 'win32') return;
    handle = openSync(path, 'r');
  }
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** In one sentence, whatever SQLite or the system says. */
export function asCopyError(error: unknown, { from, to }: { from: string; to: string }): unknown {
  if (error instanceof CopyError) return error;
  const code = errorCode(error);
  const reasons: Record<string, string> = {
    ENOENT: `The folder ${dirname(to)} is not there.`,
    ENOTDIR: `${dirname(to)} is no folder.`,
    EACCES: `${dirname(to)} cannot be written by this user.`,
    EPERM: `${dirname(to)} cannot be written by this user.`,
    EROFS: `${dirname(to)} is on a read-only file system.`,
    ENOSPC: `There is no room for it in ${dirname(to)}.`,
    EEXIST: `${to} is there already.`,
    SQLITE_FULL: `There is no room for it in ${dirname(to)}.`,
    SQLITE_NOTADB: `${from} is no database of BackChannel's.`,
    SQLITE_CANTOPEN: `${from} cannot be opened.`,
    SQLITE_BUSY: `${from} is in use by another program that keeps it to itself; try again.`,
  };
  const known = reasons[code] ?? (code.startsWith('SQLITE_CORRUPT') ? `${from} is damaged.` : undefined);
  if (known !== undefined) return new CopyError(known, { cause: error });
  if (!/^(SQLITE_|E[A-Z]+$)/.test(code)) return error;
  return new CopyError(`${from} cannot be copied to ${to} (${code}).`, { cause: error });
}
