// `backchannel hash`: one password in, its bcrypt hash out. It reads no configuration and opens no database.
import { hashPassword, passwordWarnings } from '@backchannel/server/password';
import { defineCommand } from '../command.ts';
import { hashOptions, hashResult, readHashValues } from '../hash-result.ts';
import { readPassword } from '../password-input.ts';

export const command = defineCommand({
  usage: 'hash [password]',
  about:
    'Prints the bcrypt hash of a password, for MASTER_PASSWORD_HASH. Without an argument it asks, or reads a pipe.\n' +
    'The cost is 12 unless --cost says otherwise.',
  options: hashOptions,
  argument: 'password',
  run: async (values, given) => {
    const options = readHashValues(values);
    const { password, advice } = await readPassword(given, { twice: true });
    const hash = await hashPassword(password, options);
    return hashResult(hash, values, { advice: [...passwordWarnings(password), ...advice] });
  },
});
