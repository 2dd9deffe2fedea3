// `backchannel secret`: prints a new SECRET_KEY, created in the same way as the server's own.
import { makeSecretKey } from '@backchannel/server/key-file';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'secret',
  about: 'Prints a new SECRET_KEY of 256 random bits.',
  options: { env: { type: 'boolean', about: 'print the complete line for .env' } },
  run: async (values) => {
    const secret = makeSecretKey();
    const env = `SECRET_KEY=${secret}`;
    return { text: values.env ? env : secret, json: { secret, env } };
  },
});
