// `backchannel restore`: replaces the database with a backup, and keeps the replaced files.
import { resolve } from 'node:path';
import type { Config } from '@backchannel/server/config';
import { commandLine } from '@backchannel/server/installation';
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
    'Replaces the database with a backup, and the key in DATA_DIR with the key of the backup. Stop the server first. The\n' +
    'replaced files are kept next to the new ones. FILE is checked first and not changed. Sessions and tokens that were\n' +
    'revoked after the backup stay revoked.',
  options: {},
  argument: 'FILE',
  run: async (_, { argument, context }) => {
    if (argument === undefined) throw badUsage('restore needs the FILE of a backup');
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
      const isExpected = [CopyError, DataFolderError, keys.SecretKeyError].some((kind) => error instanceof kind);
      if (isExpected && error instanceof Error) throw refusal(error.message);
      throw error;
    }
  },
});

function remarksOn({ replaced, keptEnded }: Pick<Restored, 'replaced' | 'keptEnded'>): string[] {
  return [
    ...(replaced === null ? [] : [`The previous database is now ${replaced}.`]),
    ...(keptEnded === 0
      ? []
      : [`Ended since the backup, and still ended: ${counted(keptEnded, 'session or token', 'sessions or tokens')}.`]),
  ];
}

function keyAdvice({ secretKeys }: Config, { hasKey }: { hasKey: boolean }): string[] {
  if (hasKey && secretKeys !== null) return ['SECRET_KEY is set, so the key in the backup is not used.'];
  if (hasKey) return [];
  return ['The backup has no key. Its sessions stay valid only with the SECRET_KEY that signed them.'];
}

function sinceAdvice({ isPasswordOlder, isReadable }: Pick<Restored, 'isPasswordOlder' | 'isReadable'>): string[] {
  if (!isReadable) {
    return [
      'The previous database cannot be read, or is not as BackChannel created it. Sessions and tokens that were revoked ' +
        'after the backup may be live again. ' +
        `Check ${commandLine} sessions list and ${commandLine} tokens list.`,
    ];
  }
  if (!isPasswordOlder) return [];
  return ['The password was changed after the backup. The old password is in effect again.'];
}
