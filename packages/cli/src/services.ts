// This machine's BackChannel, opened as a tool: beside the server that is running, or without one. It makes no key and no
// password, and nothing at all where that would be in the server's way.
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
 * Runs `work` with the services of this configuration, and closes them. Without a database there is nothing to work on,
 * unless it may be made.
 * @throws Failure with exit code 1, in one sentence, where they cannot be opened or the database cannot be used.
 */
export async function withServices<T>(
  config: Config,
  work: (services: Services) => Promise<T>,
  options: { mayMakeDatabase?: boolean } = {},
): Promise<T> {
  refuseUnusable(config);
  const { database } = config;
  if (database.engine === 'sqlite' && !options.mayMakeDatabase && !existsSync(database.file)) {
    throw refusal(`There is no database at ${database.file} yet: start the server first.`);
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
 * What the database holds, without a migration or any other change; null where there is none.
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

/** The file of a SQLite database, for what is about files. @throws Failure with exit code 1 where there is none */
export function fileOf({ database }: Config): string {
  if (database.engine === 'sqlite') return database.file;
  throw refusal(`This is for SQLite, and the database is ${database.shown}: use its own tools, such as pg_dump.`);
}

/** Refuses what the user who runs this cannot use, or must not. @throws Failure with exit code 1, in one sentence. */
export function refuseUnusable(config: Config): void {
  const foreign = findForeignOwner(config);
  if (foreign) throw refusal(`DATA_DIR: ${foreign.text}`);
  const fault = checkData(config).find(isFault);
  if (fault) throw refusal(`${fault.about}: ${fault.text}`);
}
