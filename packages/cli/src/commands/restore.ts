// `backchannel restore`: a backup back in its place, with what it replaces kept beside it.
import { resolve } from 'node:path';
import type { Config } from '@backchannel/server/config';
import type { Restored } from '@backchannel/server/restore';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { contentsOf } from '../contents.ts';
import { counted } from '../counted.ts';
import { badUsage, refusal } from '../failure.ts';
import { fileOf, refuseUnusable } from '../services.ts';

export const command = defineCommand({
  usage: 'restore FILE',
  about:
    'Puts a backup in the place of the database, and its key in the place of the one in DATA_DIR. The server has to be\n' +
    'stopped. What is replaced is kept beside it. FILE is checked first, and stays as it is. What was revoked after the\n' +
    'backup stays revoked.',
  options: {},
  argument: 'FILE',
  run: async (_, { argument, context }) => {
    if (argument === undefined) throw badUsage('restore takes the FILE of a backup');
    const config = readConfig(context);
    const target = fileOf(config);
    refuseUnusable(config);
    const file = resolve(context.cwd, argument);
    const [{ restoreBackup }, { CopyError, stamp: stampOf }, keys, { DataFolderError, prepareDataFolder }] =
      await Promise.all([
        import('@backchannel/server/restore'),
        import('@backchannel/server/copy'),
        import('@backchannel/server/key-file'),
        import('@backchannel/server/data-folder'),
      ]);
    const stamp = stampOf(Date.now());
    try {
      const { secretKey, ...restored } = restoreBackup(file, target, { stamp });
      const isKeyRestored = secretKey !== null && config.secretKeys === null;
      if (isKeyRestored) {
        prepareDataFolder(config.dataDir);
        keys.restoreSecretKey(config.dataDir, secretKey, { stamp });
      }
      return {
        text: `${target}: ${contentsOf(restored)}`,
        json: { file: target, ...restored, isKeyRestored },
        remarks: remarksOn(restored),
        advice: [...keyAdvice(config, { hasKey: secretKey !== null }), ...sinceAdvice(restored)],
      };
    } catch (error) {
      const isTold = [CopyError, DataFolderError, keys.SecretKeyError].some((kind) => error instanceof kind);
      if (isTold && error instanceof Error) throw refusal(error.message);
      throw error;
    }
  },
});

function remarksOn({ replaced, keptEnded }: Pick<Restored, 'replaced' | 'keptEnded'>): string[] {
  return [
    ...(replaced === null ? [] : [`The database that was there is ${replaced} now.`]),
    ...(keptEnded === 0
      ? []
      : [`${counted(keptEnded, 'session or token', 'sessions or tokens')} had been ended since and stay so.`]),
  ];
}

function keyAdvice({ secretKeys }: Config, { hasKey }: { hasKey: boolean }): string[] {
  if (hasKey && secretKeys !== null) return ['SECRET_KEY is set and counts: the key in the backup is not used.'];
  if (hasKey) return [];
  return ['The backup has no key: its sessions live on only with the SECRET_KEY that they were signed with.'];
}

function sinceAdvice({ isPasswordOlder, isReadable }: Pick<Restored, 'isPasswordOlder' | 'isReadable'>): string[] {
  if (!isReadable) {
    return [
      'The database that was there cannot be read, so what was revoked after the backup is live again: look at ' +
        'backchannel sessions list and backchannel tokens list.',
    ];
  }
  if (!isPasswordOlder) return [];
  return ['The password was changed after the backup: the one from before counts again.'];
}
