// `backchannel backup`: writes everything to one file, whether the server runs or not.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { contentsOf } from '../contents.ts';
import { badUsage, refusal } from '../failure.ts';
import { fileOf, refuseUnusable } from '../services.ts';

export const command = defineCommand({
  usage: 'backup FILE',
  about:
    'Writes the database to FILE, together with the key in DATA_DIR, and checks the copy. The server may be running. Only\n' +
    'you can read FILE. An existing FILE is not overwritten without --force.',
  options: { force: { type: 'boolean', about: 'overwrite FILE' } },
  argument: 'FILE',
  run: async ({ force = false }, { argument, context }) => {
    if (argument === undefined) throw badUsage('backup needs a FILE to write to');
    const config = readConfig(context);
    const { dataDir, secretKeys } = config;
    const source = fileOf(config);
    refuseUnusable(config);
    if (!existsSync(source)) throw refusal(`There is no database at ${source} yet. Start the server first.`);
    const file = resolve(context.cwd, argument);
    const [{ writeBackup }, { CopyError }, { loadSecretKey, SecretKeyError }, { version }] = await Promise.all([
      import('@backchannel/server/backup'),
      import('@backchannel/server/copy'),
      import('@backchannel/server/key-file'),
      import('@backchannel/server/version'),
    ]);
    try {
      const hasKeyFile = secretKeys === null && existsSync(join(dataDir, 'secret.key'));
      const secretKey = hasKeyFile ? loadSecretKey(dataDir) : null;
      const contents = writeBackup(source, file, { secretKey, version, at: Date.now(), replace: force });
      const withKey = hasKeyFile ? 'and the key' : 'without a key (SECRET_KEY is set: keep a copy of it, too)';
      return {
        text: `${file}: ${contentsOf(contents)}, ${withKey}`,
        json: { file, ...contents, hasSecretKey: hasKeyFile },
      };
    } catch (error) {
      if (error instanceof CopyError || error instanceof SecretKeyError) throw refusal(error.message);
      throw error;
    }
  },
});
