// Chooses the server and the token of a call, from the options or else from the environment. Only this file reads
// environment variables that are not settings of the server.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BackchannelClient, createBackchannelClient } from '@backchannel/client-sdk';
import { errorCode } from '@backchannel/server/error-code';
import type { CommandContext } from '../context.ts';
import { badUsage } from '../failure.ts';

export const URL_VARIABLE = 'BACKCHANNEL_URL';
export const TOKEN_VARIABLE = 'BACKCHANNEL_TOKEN';

export interface RemoteOptions {
  url?: string;
  token?: string;
  'token-file'?: string;
}

/** @throws Failure with exit code 2 when neither an option nor the environment names a server. */
export function readUrl({ url }: RemoteOptions, { env }: CommandContext): string {
  const found = url ?? (env[URL_VARIABLE] || undefined);
  if (found === undefined) {
    throw badUsage(`no server given. Add --url http://localhost:8000, or set ${URL_VARIABLE} in the environment`);
  }
  return found;
}

/** The token; null if none is given. @throws Failure with exit code 2 for two tokens, or for a file without one. */
export function readToken({ token, 'token-file': file }: RemoteOptions, { env, cwd }: CommandContext): string | null {
  if (token !== undefined && file !== undefined)
    throw badUsage('--token and --token-file cannot be combined. Leave one of them out');
  if (token !== undefined) return token;
  if (file !== undefined) return readTokenFile(file, cwd);
  return env[TOKEN_VARIABLE] || null;
}

function readTokenFile(file: string, cwd: string): string {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, file), 'utf8').trim();
  } catch (error) {
    const reason = errorCode(error) || error;
    throw badUsage(`--token-file: cannot read ${JSON.stringify(file)} (${reason})`);
  }
  if (text === '') throw badUsage(`--token-file: ${JSON.stringify(file)} is empty`);
  return text;
}

/** @throws Failure with exit code 2 when the address or the token is malformed. */
export function openClient(options: { url: string; token: string | null; userAgent: string }): BackchannelClient {
  const { url, token, userAgent } = options;
  try {
    return createBackchannelClient({
      url,
      ...(token === null ? {} : { token }),
      // The list of sessions and the events show this name.
      fetch: (input, init) => {
        const headers = new Headers(init?.headers);
        headers.set('user-agent', userAgent);
        return fetch(input, { ...init, headers });
      },
    });
  } catch (error) {
    if (error instanceof TypeError) throw badUsage(error.message.replace(/^(\w+): /, '--$1 '));
    throw error;
  }
}
