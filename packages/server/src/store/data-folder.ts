// The data folder: made private, and told apart from one that cannot be written before anything depends on it.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';

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
    const { uid, gid, username } = userInfo();
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    throw new DataFolderError(
      `DATA_DIR: ${dataDir} cannot be written by user ${username} (${reason}); ` +
        `mend it with: sudo mkdir -p ${dataDir} && sudo chown -R ${uid}:${gid} ${dataDir}`,
      { cause: error },
    );
  }
}
