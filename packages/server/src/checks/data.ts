// Whether the data folder and the database file can be used, or created by the first start. It creates and changes nothing.
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';
import { DataFolderError, prepareDataFolder } from '../store/data-folder.ts';
import { type Finding, faultOf, isFault, ok } from './finding.ts';

export function checkData({ dataDir, database }: Config): Finding[] {
  // With PostgreSQL the data folder holds nothing: the key is in the configuration.
  if (database.engine !== 'sqlite') return [];
  const { file } = database;
  const folder = dirname(file);
  const folders = [
    ...checkFolder('DATA_DIR', dataDir),
    ...(folder === dataDir ? [] : checkFolder('DATABASE_URL', folder)),
  ];
  // Nothing can be said about a file in a folder that can't be used.
  return folders.some(isFault) ? folders : [...folders, ...checkFile(file)];
}

function checkFolder(about: string, path: string): Finding[] {
  const isThere = existsSync(path);
  if (!isThere && canMake(path)) return [ok(about, `the first start creates ${path}`)];
  try {
    // This creates nothing: the folder either exists or can't be created.
    prepareDataFolder(path);
  } catch (error) {
    if (error instanceof DataFolderError) return [{ ...faultOf(error), about }];
    throw error;
  }
  return [ok(about, `${path} can be written`)];
}

/** Whether the nearest existing parent folder is writable. */
function canMake(path: string): boolean {
  const parent = dirname(path);
  if (!existsSync(parent)) return parent !== path && canMake(parent);
  return statSync(parent).isDirectory() && isAllowed(parent, constants.W_OK | constants.X_OK);
}

function checkFile(path: string): Finding[] {
  const about = 'database';
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return [ok(about, `the first start creates ${path}`)];
  if (!stat.isFile())
    return [{ level: 'fault', about, text: `${path} is not a file; set another one in DATABASE_URL` }];
  if (!isAllowed(path, constants.R_OK | constants.W_OK)) {
    const { username, uid, gid } = userInfo();
    const line = stat.uid === uid ? `chmod 600 ${path}` : `sudo chown ${uid}:${gid} ${path}`;
    return [{ level: 'fault', about, text: `${path} is not readable and writable for user ${username}: ${line}` }];
  }
  return [ok(about, `${path} can be written`)];
}

function isAllowed(path: string, rights: number): boolean {
  try {
    accessSync(path, rights);
    return true;
  } catch {
    return false;
  }
}
