// `backchannel hash-master`: the hash of the master password that is configured, so that the plain text can go.
import { BUILT_IN_PASSWORD, hashPassword, passwordWarnings } from '@backchannel/server/password';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { refusal } from '../failure.ts';
import { hashOptions, hashResult, readHashValues } from '../hash-result.ts';

export const command = defineCommand({
  usage: 'hash-master',
  about:
    'Prints the bcrypt hash of the master password in the configuration: of MASTER_PASSWORD, or MASTER_PASSWORD_HASH as\n' +
    'it is where that is set. The cost is BCRYPT_COST unless --cost says otherwise.',
  options: hashOptions,
  run: async (values) => {
    const options = readHashValues(values);
    const { password, bcryptCost } = readConfig();
    if (password.from === 'MASTER_PASSWORD_HASH') {
      const advice = ['MASTER_PASSWORD_HASH is set already: this is it.'];
      if (options.cost !== undefined) advice.push('A hash keeps its cost: to change it, hash the password anew.');
      return hashResult(password.hash, values, { advice });
    }
    if (password.from === 'database' && !password.builtInAllowed) {
      throw refusal('Neither MASTER_PASSWORD nor MASTER_PASSWORD_HASH is set: there is no password here to hash.');
    }
    const isBuiltIn = password.from === 'database';
    const plain = isBuiltIn ? BUILT_IN_PASSWORD : password.plain;
    const hash = await hashPassword(plain, { cost: options.cost ?? bcryptCost });
    const advice = isBuiltIn
      ? ['WARNING: no master password is set. This is the hash of the built-in admin123, which everybody knows.']
      : passwordWarnings(plain);
    return hashResult(hash, values, { advice });
  },
});
