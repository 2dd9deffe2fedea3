// `backchannel hash-master`: the hash of the master password that counts, so that its plain text can go.

import { effectivePassword } from '@backchannel/server/effective-password';
import { hashPassword, passwordWarnings } from '@backchannel/server/password';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { refusal } from '../failure.ts';
import { hashOptions, hashResult, readHashValues } from '../hash-result.ts';
import { lookIntoDatabase } from '../services.ts';

export const command = defineCommand({
  usage: 'hash-master',
  about:
    'Prints the bcrypt hash of the master password that counts: of MASTER_PASSWORD, or as it is, of MASTER_PASSWORD_HASH\n' +
    'or the database. The cost is BCRYPT_COST unless --cost says otherwise.',
  options: hashOptions,
  run: async (values, { context }) => {
    const options = readHashValues(values);
    const config = readConfig(context);
    const state = config.password.from === 'database' ? await lookIntoDatabase(config) : null;
    const effective = effectivePassword(config.password, state?.passwordHash ?? null);
    if (!effective) {
      throw refusal('Neither MASTER_PASSWORD nor MASTER_PASSWORD_HASH is set: there is no password here to hash.');
    }
    if ('hash' in effective) {
      const advice = [
        effective.origin === 'stored'
          ? 'This is the hash of the password that is kept in the database.'
          : 'MASTER_PASSWORD_HASH is set already: this is it.',
      ];
      if (options.cost !== undefined) advice.push('A hash keeps its cost: to change it, hash the password anew.');
      return hashResult(effective.hash, values, { advice });
    }
    const hash = await hashPassword(effective.plain, { cost: options.cost ?? config.bcryptCost });
    const advice =
      effective.origin === 'built-in'
        ? ['WARNING: no master password is set. This is the hash of the built-in admin123, which everybody knows.']
        : passwordWarnings(effective.plain);
    return hashResult(hash, values, { advice });
  },
});
