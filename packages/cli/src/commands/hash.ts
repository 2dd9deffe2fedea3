// `backchannel hash`: prints the bcrypt hash of a password. It reads no configuration and opens no database.
import { hashPassword, passwordWarnings } from '@backchannel/server/password';
import { defineCommand } from '../command.ts';
import { hashOptions, hashResult, readHashValues } from '../hash-result.ts';
import { readPassword } from '../password-input.ts';

export const command = defineCommand({
  usage: 'hash [password]',
  about:
    'Prints the bcrypt hash of a password, for MASTER_PASSWORD_HASH. Without an argument it asks for the password, or reads\n' +
    'it from a pipe. The default cost is 12.',
  options: hashOptions,
  argument: 'password',
  run: async (values, given) => {
    const options = readHashValues(values);
    const { password, advice } = await readPassword(given, { twice: true });
    const hash = await hashPassword(password, options);
    return hashResult(hash, values, { advice: [...passwordWarnings(password), ...advice] });
  },
});
