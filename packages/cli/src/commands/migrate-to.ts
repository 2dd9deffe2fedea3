// `backchannel migrate-to`: moves everything from the SQLite database to an empty PostgreSQL database.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, parseDatabaseUrl } from '@backchannel/server/config';
import { commandLine } from '@backchannel/server/installation';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { counted } from '../counted.ts';
import { badUsage, refusal } from '../failure.ts';
import { readPipe } from '../pipe.ts';
import { fileOf, refuseUnusable } from '../services.ts';

type PostgresAddress = Extract<Config['database'], { engine: 'postgresql' }>;

export const command = defineCommand({
  usage: 'migrate-to [URL]',
  about:
    'Moves all data from the SQLite database to the PostgreSQL database at a postgresql:// URL: sessions, tokens, the\n' +
    'password, events. The target must be empty. The SQLite file is not changed. Stop the server first. Without an argument,\n' +
    'the URL is read from a pipe. At the end, the command lists the settings to change.',
  options: {},
  argument: 'URL',
  run: async (_, { argument, context }) => {
    const { stdin } = context;
    const target = readTarget(argument ?? (stdin.isTTY ? '' : (await readPipe(stdin, 'the URL')).trim()), context.env);
    const config = readConfig(context);
    const file = fileOf(config);
    refuseUnusable(config);
    if (!existsSync(file)) throw refusal(`There is no database at ${file} yet, so there is nothing to move.`);
    const [{ moveDatabase, MoveError }, { StoreUnavailableError, DatabaseUrlError }, { createKeyRing }] =
      await Promise.all([
        import('@backchannel/server/move'),
        import('@backchannel/server/store'),
        import('@backchannel/server/keys'),
      ]);
    const key = await findKey(config);
    const keyIds = key === null ? [] : createKeyRing(key.secretKeys, Date.now).ids;
    try {
      const { rows, isOutdated } = await moveDatabase(file, target, { keyIds });
      const moved = Object.entries(rows).filter(([, count]) => count > 0);
      const next = nextSteps(config, key);
      const outdated = isOutdated
        ? [
            `${file} was written to during the move, and the latest changes are missing. Stop the server and start over.`,
          ]
        : [];
      return {
        text: `${target.shown}: ${moved.map(([table, count]) => `${counted(count, 'row')} of ${table}`).join(', ')}`,
        json: { from: file, to: target.shown, rows, isOutdated, next },
        remarks: [
          `${file} is unchanged. Set this on each instance, then start it:`,
          ...next.map((line) => `  ${line}`),
        ],
        advice: [
          ...outdated,
          ...(argument !== undefined && target.password !== null
            ? ['A URL as an argument stays in the shell history and shows in the process list. Pipe it in instead.']
            : []),
        ],
      };
    } catch (error) {
      if (error instanceof MoveError || error instanceof DatabaseUrlError) throw refusal(error.message);
      if (!(error instanceof StoreUnavailableError)) throw error;
      const reason = error.cause instanceof Error ? error.cause.message : error.message;
      throw refusal(`Could not move ${file} to ${target.shown}: ${reason}. Nothing was moved.`);
    }
  },
});

function readTarget(url: string, env: NodeJS.ProcessEnv): PostgresAddress {
  if (url === '') throw badUsage('migrate-to needs a postgresql:// URL');
  const target = parseDatabaseUrl(url, { env });
  if ('problem' in target) throw badUsage(`the URL ${target.problem}`);
  if (target.engine !== 'postgresql') throw badUsage('migrate-to needs a postgresql:// URL');
  return target;
}

interface Key {
  secretKeys: readonly string[];
  /** The file that holds the key; null if the key is configured. */
  file: string | null;
}

/** The keys that sign now; null if nothing has been signed yet. */
async function findKey({ secretKeys, dataDir }: Config): Promise<Key | null> {
  if (secretKeys !== null) return { secretKeys, file: null };
  const file = join(dataDir, 'secret.key');
  if (!existsSync(file)) return null;
  const { loadSecretKey, SecretKeyError } = await import('@backchannel/server/key-file');
  try {
    return { secretKeys: [loadSecretKey(dataDir)], file };
  } catch (error) {
    if (error instanceof SecretKeyError) throw refusal(error.message);
    throw error;
  }
}

/** The settings to change after the move. No secret is repeated. */
function nextSteps({ password }: Config, key: Key | null): string[] {
  const keyLine = (() => {
    if (key === null) return `SECRET_KEY=…  (create one: ${commandLine} secret)`;
    return key.file === null
      ? 'SECRET_KEY, unchanged'
      : `SECRET_KEY=…  (the content of ${key.file}), or SECRET_KEY_FILE=${key.file}`;
  })();
  return [
    'DATABASE_URL=…  (the URL that you gave)',
    keyLine,
    ...(password.from === 'database' ? [] : [`${password.from}, unchanged`]),
  ];
}
