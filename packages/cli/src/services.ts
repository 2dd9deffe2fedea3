// Opens this machine's BackChannel as a tool, beside a running server or without one. It creates no key and no password,
// and it creates nothing that could get in the server's way.
import { existsSync } from 'node:fs';
import { checkData } from '@backchannel/server/checks/data';
import { DatabaseUnusableError, readDatabaseState } from '@backchannel/server/checks/database';
import { isFault } from '@backchannel/server/checks/finding';
import { findForeignOwner } from '@backchannel/server/checks/owner';
import type { Config } from '@backchannel/server/config';
import type { DatabaseState } from '@backchannel/server/inspect';
import type { Services } from '@backchannel/server/services';
import { refusal } from './failure.ts';

/**
 * Runs `work` with the services of this configuration, and closes them. It needs an existing database, unless
 * `mayCreateDatabase` is set.
 * @throws Failure with exit code 1 when the services can't be opened or the database can't be used.
 */
export async function withServices<T>(
  config: Config,
  work: (services: Services) => Promise<T>,
  options: { mayCreateDatabase?: boolean } = {},
): Promise<T> {
  refuseUnusable(config);
  const { database } = config;
  if (database.engine === 'sqlite' && !options.mayCreateDatabase && !existsSync(database.file)) {
    throw refusal(`There is no database at ${database.file} yet. Start the server first.`);
  }
  const [{ openServices }, { DatabaseUrlError, openStore, StoreUnavailableError, UpgradeError }, { createLog }] =
    await Promise.all([
      import('@backchannel/server/services'),
      import('@backchannel/server/store'),
      import('@backchannel/server/log'),
    ]);
  try {
    await using store = await openStore(config.database);
    const log = createLog({ logLevel: 'silent', logFormat: 'json' });
    await using services = await openServices({ config, store, log, role: 'tool' });
    return await work(services);
  } catch (error) {
    if (error instanceof UpgradeError || error instanceof DatabaseUrlError) throw refusal(error.message);
    if (error instanceof StoreUnavailableError) {
      throw refusal(new DatabaseUnusableError(config.database, error.cause).message);
    }
    throw error;
  }
}

/**
 * Reads the state of the database without a migration or any other change. Returns null if there is no database.
 * @throws Failure as above.
 */
export async function lookIntoDatabase(config: Config): Promise<DatabaseState | null> {
  refuseUnusable(config);
  try {
    return await readDatabaseState(config.database);
  } catch (error) {
    throw error instanceof DatabaseUnusableError ? refusal(error.message) : error;
  }
}

/** The file of a SQLite database. @throws Failure with exit code 1 when the database is not SQLite. */
export function fileOf({ database }: Config): string {
  if (database.engine === 'sqlite') return database.file;
  throw refusal(
    `This command is for SQLite, but the database is ${database.shown}. Use PostgreSQL's tools, such as pg_dump.`,
  );
}

/** @throws Failure with exit code 1 when the user who runs this command can't use the data, or must not. */
export function refuseUnusable(config: Config): void {
  const foreign = findForeignOwner(config);
  if (foreign) throw refusal(`DATA_DIR: ${foreign.text}`);
  const fault = checkData(config).find(isFault);
  if (fault) throw refusal(`${fault.about}: ${fault.text}`);
}
