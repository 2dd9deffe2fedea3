// The data folder: made private, and told apart from one that cannot be written before anything depends on it.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { errorCode } from '../error-code.ts';

/** The data folder cannot be made or written. The message is one sentence with the line that mends it. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
}

/** Makes `dataDir` with mode 0700 where it is missing. @throws DataFolderError when it cannot be written. */
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

/** Why nothing can be made in a folder, or in the nearest one above it: making one there may say less (ENOENT for EROFS). */
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
  if (reason === 'ENOSPC') return 'cannot be made, for the disk is full; make room, or set DATA_DIR to another folder';
  const { uid, gid, username } = userInfo();
  const line = `sudo mkdir -p ${dataDir} && sudo chown -R ${uid}:${gid} ${dataDir}`;
  return `cannot be written by user ${username} (${reason}); mend it with: ${line}`;
}
