// Which server is called and what it is shown: by the options, else by the environment. The only place of the command
// line that reads variables which are no settings of the server.

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

/** @throws Failure with exit code 2 where it says nowhere which server. */
export function readUrl({ url }: RemoteOptions, { env }: CommandContext): string {
  const found = url ?? (env[URL_VARIABLE] || undefined);
  if (found === undefined) {
    throw badUsage(`say which server: --url http://localhost:8000, or ${URL_VARIABLE} in the environment`);
  }
  return found;
}

/** The token; null where there is none. @throws Failure with exit code 2 for two of them, or a file without one. */
export function readToken({ token, 'token-file': file }: RemoteOptions, { env, cwd }: CommandContext): string | null {
  if (token !== undefined && file !== undefined) throw badUsage('--token and --token-file: leave one of them out');
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
    throw badUsage(`--token-file: ${JSON.stringify(file)} cannot be read (${reason})`);
  }
  if (text === '') throw badUsage(`--token-file: ${JSON.stringify(file)} is empty`);
  return text;
}

/** @throws Failure with exit code 2 where the address or the token cannot be one. */
export function openClient(options: { url: string; token: string | null; userAgent: string }): BackchannelClient {
  const { url, token, userAgent } = options;
  try {
    return createBackchannelClient({
      url,
      ...(token === null ? {} : { token }),
      // What the list of sessions and the events then call this.
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
