// `backchannel verify`: whether a password is the one that counts. It is no sign-in: nothing is counted or recorded.
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { findEffectivePassword, isEffective } from '../effective-password.ts';
import { refusal } from '../failure.ts';
import { readPassword } from '../password-input.ts';

export const command = defineCommand({
  usage: 'verify [password]',
  about:
    'Prints right (exit code 0) or wrong (1): whether a password is the master password of the configuration. Without an\n' +
    'argument it asks, or reads a pipe.',
  options: {},
  argument: 'password',
  run: async (_values, argument) => {
    const effective = await findEffectivePassword(readConfig());
    if (effective.origin === 'database') throw refusal(effective.explanation);
    const { password, advice } = await readPassword(argument);
    const right = await isEffective(password, effective);
    const against = effective.origin === 'built-in' ? 'the built-in admin123: no password is set' : effective.origin;
    return {
      text: right ? 'right' : 'wrong',
      json: { right, origin: effective.origin },
      advice: [...advice, `It was checked against ${against}.`],
      ok: right,
    };
  },
});
