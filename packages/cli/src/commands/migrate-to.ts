// `backchannel migrate-to`: everything that is in the SQLite database into an empty one on PostgreSQL.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, parseDatabaseUrl } from '@backchannel/server/config';
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
    'Moves everything from the SQLite database to the PostgreSQL database that a postgresql:// URL names: sessions, tokens,\n' +
    'the password, events. That one has to be empty; the file stays as it is. Stop the server first. Without an argument the\n' +
    'URL is read from a pipe. It says what to set then.',
  options: {},
  argument: 'URL',
  run: async (_, { argument, context }) => {
    const { stdin } = context;
    const target = readTarget(argument ?? (stdin.isTTY ? '' : (await readPipe(stdin, 'the URL')).trim()));
    const config = readConfig(context);
    const file = fileOf(config);
    refuseUnusable(config);
    if (!existsSync(file)) throw refusal(`There is no database at ${file} yet: there is nothing to move.`);
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
        ? [`${file} was written to meanwhile: what came since is not there. Stop the server, and begin anew.`]
        : [];
      return {
        text: `${target.shown}: ${moved.map(([table, count]) => `${counted(count, 'row')} of ${table}`).join(', ')}`,
        json: { from: file, to: target.shown, rows, isOutdated, next },
        remarks: [`${file} is as it was. Set this, on each instance, and start:`, ...next.map((line) => `  ${line}`)],
        advice: [
          ...outdated,
          ...(argument !== undefined && target.password !== null
            ? ["An argument stays in the shell's history and shows in the list of processes: pipe the URL in instead."]
            : []),
        ],
      };
    } catch (error) {
      if (error instanceof MoveError || error instanceof DatabaseUrlError) throw refusal(error.message);
      if (!(error instanceof StoreUnavailableError)) throw error;
      const reason = error.cause instanceof Error ? error.cause.message : error.message;
      throw refusal(`${file} could not be moved to ${target.shown}, and nothing was: ${reason}.`);
    }
  },
});

function readTarget(url: string): PostgresAddress {
  if (url === '') throw badUsage('migrate-to takes a postgresql:// URL');
  const target = parseDatabaseUrl(url);
  if ('problem' in target) throw badUsage(`the URL ${target.problem}`);
  if (target.engine !== 'postgresql') throw badUsage('migrate-to takes a postgresql:// URL');
  return target;
}

interface Key {
  secretKeys: readonly string[];
  /** The file that it is kept in; null where it is configured. */
  file: string | null;
}

/** The ring that signs now; null where nothing has been signed yet. */
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

/** What is to be in the configuration then. No secret is repeated. */
function nextSteps({ password }: Config, key: Key | null): string[] {
  const keyLine = (() => {
    if (key === null) return 'SECRET_KEY=…  (make one: backchannel secret)';
    return key.file === null
      ? 'SECRET_KEY as it is'
      : `SECRET_KEY=…  (what is in ${key.file}), or SECRET_KEY_FILE=${key.file}`;
  })();
  return [
    'DATABASE_URL=…  (the URL that you gave)',
    keyLine,
    ...(password.from === 'database' ? [] : [`${password.from} as it is`]),
  ];
}
