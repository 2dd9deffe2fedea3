/**
 * What happens to a database before its migrations are applied: one that a newer version was at work on is refused, and
 * one that has to be migrated is copied first. The copies are the way back.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { inspectDatabase, inspectOpen } from '../inspect.ts';
import { UpgradeError } from '../unavailable.ts';
import { asCopyError, CopyError, draftCopy, stamp } from './copy.ts';

const KEPT_COPIES = 3;

/** The folder of the copies of a database, beside it. */
const folderOf = (file: string) => join(dirname(file), 'backups');

/**
 * Copies a database whose schema is older than this code's, and keeps the last three copies; a new database needs none.
 * @throws UpgradeError when its schema is newer, or it can't be copied.
 */
export function prepareUpgrade(file: string): void {
  const { applied, pending, unknown } = inspectDatabase(file);
  if (unknown.length > 0) throw new UpgradeError(newerText(file, unknown));
  const [next] = pending;
  if (applied.length === 0 || next === undefined) return;
  const folder = folderOf(file);
  const name = `before-${next}-${stamp(Date.now())}.db`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    using copy = draftCopy(file, join(folder, name));
    // Another starter may have migrated it meanwhile, and has made a copy of what it was.
    if (copy.contents.pending[0] === next) copy.place({ replace: true });
  } catch (error) {
    const told = asCopyError(error, { from: file, to: join(folder, name) });
    if (!(told instanceof CopyError)) throw told;
    const text = `DATABASE_URL: ${file} has to be copied to ${folder} before ${next} is applied, and can't be: ${told.message}`;
    throw new UpgradeError(text, { cause: error });
  }
  for (const old of copiesIn(folder).slice(KEPT_COPIES)) rmSync(join(folder, old), { force: true });
}

/** The newest first. */
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
  const back = copy ? `, or go back to the copy from before: backchannel restore ${join(folder, copy)}` : '';
  return (
    `DATABASE_URL: a newer BackChannel has been at work on ${file} (${unknown.join(', ')}): ` +
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
