// `backchannel verify`: checks a password against the one in effect. This is not a sign-in: nothing is counted or recorded.
import { effectivePassword, matchesEffective, type PasswordOrigin } from '@backchannel/server/effective-password';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { refusal } from '../failure.ts';
import { readPassword } from '../password-input.ts';
import { lookIntoDatabase } from '../services.ts';

export const command = defineCommand({
  usage: 'verify [password]',
  about:
    'Checks a password against the master password in effect: the configured one, or else the one in the database. Prints\n' +
    'right (exit code 0) or wrong (exit code 1). Without an argument it asks for the password, or reads it from a pipe.',
  options: {},
  argument: 'password',
  run: async (_, given) => {
    const config = readConfig(given.context);
    const isStored = config.password.from === 'database';
    const state = isStored ? await lookIntoDatabase(config) : null;
    const effective = effectivePassword(config.password, state?.passwordHash ?? null);
    if (!effective) {
      throw refusal(
        'There is no password yet: neither MASTER_PASSWORD_HASH nor MASTER_PASSWORD is set. The server generates a password ' +
          'at its first start and shows it once.',
      );
    }
    const { password, advice } = await readPassword(given);
    const right = await matchesEffective(password, effective);
    return {
      text: right ? 'right' : 'wrong',
      json: { right, origin: effective.origin },
      advice: [...advice, `Checked against ${against[effective.origin]}.`],
      ok: right,
    };
  },
});

const against: Readonly<Record<PasswordOrigin, string>> = {
  MASTER_PASSWORD_HASH: 'MASTER_PASSWORD_HASH',
  MASTER_PASSWORD: 'MASTER_PASSWORD',
  stored: 'the password in the database',
  generated: 'the password in the database',
  'built-in': 'the built-in admin123, because no password is set',
};
