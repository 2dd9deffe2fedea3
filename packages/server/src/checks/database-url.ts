// Whether database traffic crosses a network unencrypted.

import type { Config } from '../config/config.ts';
import { isLocalDatabase } from '../config/postgres-url.ts';
import { advice, type Finding } from './finding.ts';

export function checkDatabaseUrl({ database }: Pick<Config, 'database'>): Finding[] {
  if (database.engine !== 'postgresql' || database.tlsMode !== null || isLocalDatabase(database)) return [];
  const text =
    `${database.shown} is reached without encryption, even for the password: add ?sslmode=verify-full, ` +
    'or ?sslmode=disable if the network is your own';
  return [advice('DATABASE_URL', text)];
}
