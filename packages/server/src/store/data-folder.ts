// Creates the data folder with private permissions, and checks that it is writable before anything depends on it.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { errorCode } from '../error-code.ts';

/** The data folder cannot be created or written. The message is one sentence that says how to fix it. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
}

/** Creates `dataDir` with mode 0700 if it is missing. @throws DataFolderError if it cannot be written */
export function prepareDataFolder(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = findReason(dirname(dataDir)) ?? codeIn(error);
    throw new DataFolderError(`DATA_DIR: ${dataDir} ${whyNot(dataDir, reason)}`, { cause: error });
  }
}

const codeIn = (error: unknown) => errorCode(error) || 'unknown reason';

/**
 * Why nothing can be created in a folder, or in its nearest parent that exists. The error of mkdir can be less specific:
 * ENOENT on a read-only file system (EROFS).
 */
function findReason(folder: string): string | null {
  try {
    accessSync(folder, constants.W_OK);
    return null;
  } catch (error) {
    const reason = codeIn(error);
    return reason === 'ENOENT' && dirname(folder) !== folder ? findReason(dirname(folder)) : reason;
  }
}

function whyNot(dataDir: string, reason: string): string {
  if (reason === 'EROFS') return 'is on a read-only file system; mount it writable, or set DATA_DIR to another folder';
  if (reason === 'ENOSPC')
    return 'cannot be created because the disk is full; free some space, or set DATA_DIR to another folder';
  const { uid, gid, username } = userInfo();
  const line = `sudo mkdir -p ${dataDir} && sudo chown -R ${uid}:${gid} ${dataDir}`;
  return `cannot be written by user ${username} (${reason}); fix it with: ${line}`;
}
