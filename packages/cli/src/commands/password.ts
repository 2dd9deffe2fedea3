// `backchannel password set`: a new master password, by whoever has the machine, without the old one.
import { existsSync } from 'node:fs';
import type { Config } from '@backchannel/server/config';
import { hashForms, hashPassword, passwordWarnings } from '@backchannel/server/password';
import { defineCommand, defineGroup, type Result } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { counted } from '../counted.ts';
import { refusal } from '../failure.ts';
import { readPassword } from '../password-input.ts';
import { refuseUnusable, withServices } from '../services.ts';

const set = defineCommand({
  usage: 'password set',
  about:
    'Sets the master password that is kept in the database, and ends all sessions. It asks twice, or reads a pipe; the\n' +
    'server may be running, stopped, or not have been started yet. Where .env or this environment sets the password, that\n' +
    'one counts: then it prints the line to put there instead, and the exit code is 1.',
  options: { 'revoke-tokens': { type: 'boolean', about: 'revoke all API tokens, too' } },
  run: async ({ 'revoke-tokens': revokeTokens = false }, given) => {
    const config = readConfig(given.context);
    const isKept = config.password.from === 'database';
    // Before anybody types a password for nothing.
    if (isKept) refuseUnusable(config);
    const input = await readPassword(given, { twice: true, toType: true });
    const advice = [...passwordWarnings(input.password), ...input.advice];
    const result = isKept
      ? await setKept(config, input.password, { revokeTokens })
      : await lineFor(config, input.password);
    return { ...result, advice: [...(result.advice ?? []), ...advice] };
  },
});

async function setKept(config: Config, next: string, { revokeTokens }: { revokeTokens: boolean }): Promise<Result> {
  const isNew = config.database.engine === 'sqlite' && !existsSync(config.database.file);
  const { outcome, tokensLeft } = await withServices(
    config,
    async ({ passwordChange, tokens }) => {
      const outcome = await passwordChange.set({ next, revokeTokens });
      return { outcome, tokensLeft: await tokens.countLive() };
    },
    { mayMakeDatabase: true },
  );
  if (outcome.outcome !== 'changed') throw refusal('The password could not be set; try again.');
  const { sessionsEnded, tokensRevoked } = outcome;
  const json = { changed: true, sessionsEnded, tokensRevoked, tokensLeft };
  if (isNew) return { text: 'The password is set: the first start uses it.', json };
  const tokens = revokeTokens
    ? `${counted(tokensRevoked, 'token')} revoked`
    : `${counted(tokensLeft, 'token')} kept${tokensLeft > 0 ? ' (--revoke-tokens ends them, too)' : ''}`;
  return {
    text: `The password is set: ${counted(sessionsEnded, 'session')} ended, ${tokens}.`,
    json,
  };
}

async function lineFor({ password: { from }, bcryptCost }: Config, next: string): Promise<Result> {
  const { env } = hashForms(await hashPassword(next, { cost: bcryptCost }));
  const why =
    `Nothing is changed: ${from} is set, in .env or in the environment, and counts before any password in the database. ` +
    `Put this line in place of ${from}, and start the server again.`;
  return { text: env, json: { changed: false, env }, advice: [why], ok: false };
}

export const command = defineGroup({
  usage: 'password',
  about: 'The master password.',
  commands: { set: { about: 'set a new one, and end all sessions', command: set } },
});
