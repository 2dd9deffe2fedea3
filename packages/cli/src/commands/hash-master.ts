// `backchannel hash-master`: prints the hash of the master password in effect, so you can remove its plain text.
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
    'Prints the bcrypt hash of the master password in effect. It hashes MASTER_PASSWORD, at the cost BCRYPT_COST or --cost.\n' +
    'A hash from MASTER_PASSWORD_HASH or from the database is printed unchanged.',
  options: hashOptions,
  run: async (values, { context }) => {
    const options = readHashValues(values);
    const config = readConfig(context);
    const state = config.password.from === 'database' ? await lookIntoDatabase(config) : null;
    const effective = effectivePassword(config.password, state?.passwordHash ?? null);
    if (!effective) {
      throw refusal('There is no password to hash: neither MASTER_PASSWORD nor MASTER_PASSWORD_HASH is set.');
    }
    if ('hash' in effective) {
      const advice = [
        effective.origin === 'stored'
          ? 'This is the hash of the password in the database.'
          : 'MASTER_PASSWORD_HASH is already set. This is that hash.',
      ];
      if (options.cost !== undefined)
        advice.push('The cost of a hash cannot change. For another cost, hash the password again.');
      return hashResult(effective.hash, values, { advice });
    }
    const hash = await hashPassword(effective.plain, { cost: options.cost ?? config.bcryptCost });
    const advice =
      effective.origin === 'built-in'
        ? ['WARNING: no master password is set. This is the hash of the built-in admin123, which everyone knows.']
        : passwordWarnings(effective.plain);
    return hashResult(hash, values, { advice });
  },
});
