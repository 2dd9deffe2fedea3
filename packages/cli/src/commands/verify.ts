// `backchannel verify`: whether a password is the one that counts. It is no sign-in: nothing is counted or recorded.
import { effectivePassword, matchesEffective, type PasswordOrigin } from '@backchannel/server/effective-password';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { refusal } from '../failure.ts';
import { readPassword } from '../password-input.ts';
import { lookIntoDatabase } from '../services.ts';

export const command = defineCommand({
  usage: 'verify [password]',
  about:
    'Prints right (exit code 0) or wrong (1): whether a password is the master password, of the configuration or else the\n' +
    'one kept in the database. Without an argument it asks, or reads a pipe.',
  options: {},
  argument: 'password',
  run: async (_, given) => {
    const config = readConfig(given.context);
    const isKept = config.password.from === 'database';
    const state = isKept ? await lookIntoDatabase(config) : null;
    const effective = effectivePassword(config.password, state?.passwordHash ?? null);
    if (!effective) {
      throw refusal(
        'Neither MASTER_PASSWORD_HASH nor MASTER_PASSWORD is set, and no password is kept yet: the first start makes one ' +
          'and shows it once.',
      );
    }
    const { password, advice } = await readPassword(given);
    const right = await matchesEffective(password, effective);
    return {
      text: right ? 'right' : 'wrong',
      json: { right, origin: effective.origin },
      advice: [...advice, `It was checked against ${against[effective.origin]}.`],
      ok: right,
    };
  },
});

const against: Readonly<Record<PasswordOrigin, string>> = {
  MASTER_PASSWORD_HASH: 'MASTER_PASSWORD_HASH',
  MASTER_PASSWORD: 'MASTER_PASSWORD',
  stored: 'the one kept in the database',
  generated: 'the one kept in the database',
  'built-in': 'the built-in admin123: no password is set',
};
