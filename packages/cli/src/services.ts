// This machine's BackChannel, opened as a tool: beside the server that is running, or without one. It makes no key and no
// password, and nothing at all where that would be in the server's way.
import { existsSync } from 'node:fs';
import { type Config, nameOfDatabase } from '@backchannel/server/config';
import type { DatabaseState } from '@backchannel/server/inspect';
import type { Services } from '@backchannel/server/services';
import { checkData } from './checks/data.ts';
import { refusal } from './failure.ts';
import { findForeignOwner } from './owner.ts';

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
    if (error instanceof StoreUnavailableError) throw refusal(unusableText(config, error.cause));
    throw error;
  }
}

/**
 * What the database holds, without a migration or any other change; null where there is none.
 * @throws Failure as above.
 */
export async function lookIntoDatabase(config: Config): Promise<DatabaseState | null> {
  refuseUnusable(config);
  const { database } = config;
  if (database.engine === 'sqlite' && !existsSync(database.file)) return null;
  const { inspectDatabase, inspectPostgres } = await import('@backchannel/server/inspect');
  try {
    return database.engine === 'sqlite' ? inspectDatabase(database.file) : await inspectPostgres(database);
  } catch (error) {
    throw refusal(unusableText(config, error));
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
  const fault = checkData(config).find(({ level }) => level === 'fault');
  if (fault) throw refusal(`${fault.about}: ${fault.text}`);
}

/** In one sentence, whatever the database says. */
const unusableText = ({ database }: Config, reason: unknown): string =>
  `The database ${nameOfDatabase(database)} cannot be used: ${reasonText(reason)}.`;

/** Node says nothing but a code where several addresses of a name refuse. */
function reasonText(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return reason.message || ('code' in reason ? String(reason.code) : reason.name);
}
