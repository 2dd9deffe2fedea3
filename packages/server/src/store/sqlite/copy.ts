/**
 * Copies a SQLite file while other processes use it, and checks the copy before it takes its final name. It knows no
 * services and no command line. backup.ts, restore.ts and upgrade.ts use it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { errorCode } from '../../error-code.ts';
import { hasTable, inspectOpen } from '../inspect.ts';
import type { Ledger } from '../ledger.ts';
import { migrations } from '../migrations/index.ts';
import { creationOf, shapeOf } from '../shape.ts';

/** A copy cannot be made or must not be used. The message is one sentence for the user. */
export class CopyError extends Error {
  override readonly name = 'CopyError';
}

/** The contents of a checked copy. */
export interface Contents {
  /** The last applied migration. */
  schema: string;
  /** Migrations of this code that have not been applied. */
  pending: string[];
  /** How many sessions have not ended. */
  sessions: number;
  tokens: number;
  events: number;
}

/** How long a copy waits for a process that has locked the database, in milliseconds. */
const PATIENCE_MS = 5000;

/**
 * Writes a copy of `from` under a temporary name next to `to`, checks it and passes it to `finish`. `place` moves the copy
 * to `to`. Disposing the result deletes a copy that was not placed. With `isRebuilt`, only the rows of our tables are copied,
 * to a new file with the same migrations.
 *
 * This uses VACUUM INTO, not SQLite's backup API. VACUUM INTO reads one snapshot, and in WAL mode no writer waits for it. The
 * backup API starts again whenever another process writes, and may never finish while a server is busy. It also copies free
 * pages, which hold deleted rows.
 * @throws CopyError if `from` cannot be read, is damaged or is not a BackChannel database, or if the copy cannot be written
 */
export function draftCopy(
  from: string,
  to: string,
  options: { finish?: (db: Sqlite.Database) => void; isRebuilt?: boolean } = {},
): { contents: Contents; place(options: { replace: boolean }): void } & Disposable {
  const draft = `${to}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const rebuilt = `${draft}.rebuilt`;
  const drop = () => {
    for (const path of [draft, rebuilt]) for (const end of ['', '-journal']) rmSync(path + end, { force: true });
  };
  try {
    vacuumInto(from, draft);
    const { ledger, contents } = checkAndFinish(from, draft, options.finish);
    if (options.isRebuilt) {
      rebuild(draft, rebuilt, ledger);
      renameSync(rebuilt, draft);
    }
    flush(draft);
    return {
      contents,
      place: ({ replace }) => {
        try {
          // Reserves the name, so a file that another process creates at the same time is not overwritten.
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
  // SQLite writes into an existing empty file and keeps its mode.
  closeSync(openSync(draft, 'wx', 0o600));
  const source = new Sqlite(from, { fileMustExist: true, timeout: PATIENCE_MS });
  try {
    source.prepare('vacuum into ?').run(draft);
  } finally {
    source.close();
  }
}

function checkAndFinish(
  from: string,
  draft: string,
  finish: (db: Sqlite.Database) => void = () => {},
): { ledger: Ledger; contents: Contents } {
  const db = new Sqlite(draft, { fileMustExist: true });
  try {
    const faults = db.pragma('integrity_check', { simple: true });
    if (faults !== 'ok') throw new CopyError(`${from} is damaged: ${faults}.`);
    const ledger = inspectOpen(db);
    const { applied, pending, prefix, problem } = ledger;
    const [first] = migrations;
    const schema = applied.at(-1);
    if (schema === undefined || applied[0] !== first?.name)
      throw new CopyError(`${from} is not a BackChannel database.`);
    if (problem !== null) throw new CopyError(`${from} ${problem}.`);
    finish(db);
    const count = (topic: string, where = 'true') => {
      const table = `${prefix}${topic}`;
      return hasTable(db, table) ? Number(db.prepare(`select count(*) from ${table} where ${where}`).pluck().get()) : 0;
    };
    const contents = {
      schema,
      pending,
      sessions: count('sessions', 'ended_at is null'),
      tokens: count('tokens', 'ended_at is null'),
      events: count('events'),
    };
    return { ledger, contents };
  } finally {
    db.close();
  }
}

/** Copies our rows to a file that the migrations create anew, so nothing else in the draft survives. */
function rebuild(draft: string, rebuilt: string, ledger: Ledger): void {
  closeSync(openSync(rebuilt, 'wx', 0o600));
  const db = new Sqlite(rebuilt, { fileMustExist: true });
  try {
    db.prepare('attach ? as source').run(draft);
    db.transaction(() => {
      for (const sql of creationOf('sqlite', ledger)) db.exec(sql);
      for (const table of shapeOf('sqlite', ledger).tables.keys()) {
        db.exec(`insert into main.${table} select * from source.${table}`);
      }
    })();
  } finally {
    db.close();
  }
}

/** A time for file names: `20260314T092653589Z`. */
export const stamp = (at: number): string => new Date(at).toISOString().replace(/[-:.]/g, '');

/** Flushes a file or folder to the disk. Windows cannot open folders and does not need this for them. */
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

/** Turns an error of SQLite or the operating system into one sentence. */
export function asCopyError(error: unknown, { from, to }: { from: string; to: string }): unknown {
  if (error instanceof CopyError) return error;
  const code = errorCode(error);
  const reasons: Record<string, string> = {
    ENOENT: `The folder ${dirname(to)} does not exist.`,
    ENOTDIR: `${dirname(to)} is not a folder.`,
    EACCES: `${dirname(to)} cannot be written by this user.`,
    EPERM: `${dirname(to)} cannot be written by this user.`,
    EROFS: `${dirname(to)} is on a read-only file system.`,
    ENOSPC: `There is not enough space in ${dirname(to)}.`,
    EEXIST: `${to} already exists.`,
    SQLITE_FULL: `There is not enough space in ${dirname(to)}.`,
    SQLITE_NOTADB: `${from} is not a BackChannel database.`,
    SQLITE_CANTOPEN: `${from} cannot be opened.`,
    SQLITE_BUSY: `${from} is locked by another program; try again.`,
  };
  const known = reasons[code] ?? (/^SQLITE_(?:CORRUPT|CONSTRAINT)/.test(code) ? `${from} is damaged.` : undefined);
  if (known !== undefined) return new CopyError(known, { cause: error });
  if (!/^(SQLITE_|E[A-Z]+$)/.test(code)) return error;
  return new CopyError(`${from} cannot be copied to ${to} (${code}).`, { cause: error });
}
