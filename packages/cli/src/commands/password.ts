// `backchannel password set`: sets a new master password. Access to the machine is enough; it does not ask for the old one.
import { existsSync } from 'node:fs';
import type { Config } from '@backchannel/server/config';
import { hashForms, hashPassword, newPasswordProblem, passwordWarnings } from '@backchannel/server/password';
import { defineCommand, defineGroup, type Result } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { counted } from '../counted.ts';
import { refusal } from '../failure.ts';
import { readPassword } from '../password-input.ts';
import { refuseUnusable, withServices } from '../services.ts';

const set = defineCommand({
  usage: 'password set',
  about:
    'Sets the master password in the database, and ends all sessions. It asks for the password twice, or reads it from a\n' +
    'pipe. The server may be running, stopped, or not started yet. If .env or the environment sets the password, nothing\n' +
    'changes: the command prints the line to put there, and the exit code is 1.',
  options: { 'revoke-tokens': { type: 'boolean', about: 'revoke all API tokens, too' } },
  run: async ({ 'revoke-tokens': revokeTokens = false }, given) => {
    const config = readConfig(given.context);
    const isStored = config.password.from === 'database';
    // Check this before you have to type a password.
    if (isStored) refuseUnusable(config);
    const input = await readPassword(given, { twice: true, toType: true });
    const problem = newPasswordProblem(input.password);
    if (problem) throw refusal(problem);
    const advice = [...passwordWarnings(input.password), ...input.advice];
    const result = isStored
      ? await setStored(config, input.password, { revokeTokens })
      : await lineFor(config, input.password);
    return { ...result, advice: [...(result.advice ?? []), ...advice] };
  },
});

async function setStored(config: Config, next: string, { revokeTokens }: { revokeTokens: boolean }): Promise<Result> {
  const isNew = config.database.engine === 'sqlite' && !existsSync(config.database.file);
  const { outcome, tokensLeft } = await withServices(
    config,
    async ({ passwordChange, tokens }) => {
      const outcome = await passwordChange.set({ next, revokeTokens });
      return { outcome, tokensLeft: await tokens.countLive() };
    },
    { mayCreateDatabase: true },
  );
  if (outcome.outcome !== 'changed') throw refusal('Could not set the password. Try again.');
  const { sessionsEnded, tokensRevoked } = outcome;
  const json = { changed: true, sessionsEnded, tokensRevoked, tokensLeft };
  if (isNew) return { text: 'The password is set. The server uses it from its first start.', json };
  const tokens = revokeTokens
    ? `${counted(tokensRevoked, 'token')} revoked`
    : `${counted(tokensLeft, 'token')} kept${tokensLeft > 0 ? ' (--revoke-tokens revokes them, too)' : ''}`;
  return {
    text: `The password is set: ${counted(sessionsEnded, 'session')} ended, ${tokens}.`,
    json,
  };
}

async function lineFor({ password: { from }, bcryptCost }: Config, next: string): Promise<Result> {
  const { env } = hashForms(await hashPassword(next, { cost: bcryptCost }));
  const why =
    `Nothing was changed: ${from} is set in .env or in the environment, and takes precedence over the database. ` +
    `Replace ${from} with this line, and restart the server.`;
  return { text: env, json: { changed: false, env }, advice: [why], ok: false };
}

export const command = defineGroup({
  usage: 'password',
  about: 'The master password.',
  commands: { set: { about: 'set a new password, and end all sessions', command: set } },
});
