// Whether private files are private: the data folder 0700, the files in it 0600.
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { checkMode, type Finding } from './finding.ts';

/** Advice for each existing file or folder that others can access, with the command that fixes it. */
export function checkModes({ dataDir, database, secretKeys }: Config): Finding[] {
  // The write-ahead log (-wal) holds data that has not reached the database file yet.
  const files = database.engine === 'sqlite' ? [database.file, `${database.file}-wal`] : [];
  return [
    ...checkMode('DATA_DIR', dataDir, { most: 0o700 }),
    ...files.flatMap((path) => checkMode('database', path, { most: 0o600 })),
    ...(secretKeys === null ? checkMode('SECRET_KEY', join(dataDir, 'secret.key'), { most: 0o600 }) : []),
  ];
}
