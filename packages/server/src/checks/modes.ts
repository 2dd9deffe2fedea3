// Whether what is to be private is: the data folder 0700, the files in it 0600.
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { checkMode, type Finding } from './finding.ts';

/** Advice for each that is there and that others have a right to, with the line that mends it. */
export function checkModes({ dataDir, database, secretKeys }: Config): Finding[] {
  // What has not been moved into the database yet is in the one beside it.
  const files = database.engine === 'sqlite' ? [database.file, `${database.file}-wal`] : [];
  return [
    ...checkMode('DATA_DIR', dataDir, { most: 0o700 }),
    ...files.flatMap((path) => checkMode('database', path, { most: 0o600 })),
    ...(secretKeys === null ? checkMode('SECRET_KEY', join(dataDir, 'secret.key'), { most: 0o600 }) : []),
  ];
}
