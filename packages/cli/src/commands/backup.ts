// `backchannel backup`: everything in one file, whether the server runs or not.
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
    'Writes the database to FILE, together with the key that is kept in DATA_DIR, and checks what it has written. The\n' +
    'server may be running. FILE is readable by you alone, and not written over without --force.',
  options: { force: { type: 'boolean', about: 'write over FILE' } },
  argument: 'FILE',
  run: async ({ force = false }, { argument, context }) => {
    if (argument === undefined) throw badUsage('backup takes a FILE to write');
    const config = readConfig(context);
    const { dataDir, secretKeys } = config;
    const source = fileOf(config);
    refuseUnusable(config);
    if (!existsSync(source)) throw refusal(`There is no database at ${source} yet: start the server first.`);
    const file = resolve(context.cwd, argument);
    const [{ writeBackup }, { CopyError }, { loadSecretKey, SecretKeyError }, { version }] = await Promise.all([
      import('@backchannel/server/backup'),
      import('@backchannel/server/copy'),
      import('@backchannel/server/key-file'),
      import('@backchannel/server/version'),
    ]);
    try {
      const isKeyKept = secretKeys === null && existsSync(join(dataDir, 'secret.key'));
      const secretKey = isKeyKept ? loadSecretKey(dataDir) : null;
      const contents = writeBackup(source, file, { secretKey, version, at: Date.now(), replace: force });
      const withKey = isKeyKept ? 'and the key' : 'without a key: SECRET_KEY is set, keep a copy of it, too';
      return {
        text: `${file}: ${contentsOf(contents)}, ${withKey}`,
        json: { file, ...contents, hasSecretKey: isKeyKept },
      };
    } catch (error) {
      if (error instanceof CopyError || error instanceof SecretKeyError) throw refusal(error.message);
      throw error;
    }
  },
});
