/**
 * Prepares a database for its migrations. A database that a newer version has used is rejected. A database with pending
 * migrations is copied first, so you can go back to the older version.
 */

import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { commandLine } from '../../config/installation.ts';
import { inspectDatabase, inspectOpen } from '../inspect.ts';
import { UpgradeError } from '../unavailable.ts';
import { asCopyError, CopyError, draftCopy, stamp } from './copy.ts';

const KEPT_COPIES = 3;

/** The folder for the copies of a database, next to it. */
const folderOf = (file: string) => join(dirname(file), 'backups');

/**
 * Copies a database whose schema is older than this code's, and keeps the last three copies. A new database is not copied.
 * @throws UpgradeError if its schema is newer, or if it cannot be copied
 */
export function prepareUpgrade(file: string): void {
  const { applied, pending, unknown, problem } = inspectDatabase(file);
  if (unknown.length > 0) throw new UpgradeError(newerText(file, unknown));
  if (problem !== null) throw new UpgradeError(`DATABASE_URL: ${file} ${problem}`);
  const [next] = pending;
  if (applied.length === 0 || next === undefined) return;
  const folder = folderOf(file);
  const name = `before-${next}-${stamp(Date.now())}.db`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    using copy = draftCopy(file, join(folder, name));
    // Another process may have migrated the database in the meantime, and has made its own copy.
    if (copy.contents.pending[0] === next) copy.place({ replace: true });
  } catch (error) {
    const failure = asCopyError(error, { from: file, to: join(folder, name) });
    if (!(failure instanceof CopyError)) throw failure;
    const text = `${file} must be copied to ${folder} before ${next} is applied, but the copy failed: ${failure.message}`;
    throw new UpgradeError(`DATABASE_URL: ${text}`, { cause: error });
  }
  for (const old of copiesIn(folder).slice(KEPT_COPIES)) rmSync(join(folder, old), { force: true });
}

/** The copies in a folder, newest first. */
function copiesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const stampOf = (name: string) => /-(\d{8}T\d{9}Z)\.db$/.exec(name)?.[1] ?? '';
  return readdirSync(folder)
    .filter((name) => /^before-.+-\d{8}T\d{9}Z\.db$/.test(name))
    .sort((one, other) => stampOf(other).localeCompare(stampOf(one)));
}

function newerText(file: string, unknown: readonly string[]): string {
  const folder = folderOf(file);
  const copy = copiesIn(folder).find((name) => isOurs(join(folder, name)));
  const back = copy ? `, or go back to the earlier copy: ${commandLine} restore ${join(folder, copy)}` : '';
  return (
    `DATABASE_URL: a newer BackChannel has used ${file} (${unknown.join(', ')}): ` +
    `run that version or a newer one${back}`
  );
}

function isOurs(copy: string): boolean {
  try {
    const db = new Sqlite(copy, { readonly: true, fileMustExist: true });
    try {
      return inspectOpen(db).unknown.length === 0;
    } finally {
      db.close();
    }
  } catch {
    return false;
  }
}
