// `backchannel secret`: a new SECRET_KEY, made as the server makes its own.
import { makeSecretKey } from '@backchannel/server/key-file';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  usage: 'secret',
  about: 'Prints a new SECRET_KEY: 256 random bits.',
  options: { env: { type: 'boolean', about: 'print the whole line for .env' } },
  run: async (values) => {
    const secret = makeSecretKey();
    const env = `SECRET_KEY=${secret}`;
    return { text: values.env ? env : secret, json: { secret, env } };
  },
});
