// The input of a call: JSON from the command line, a file or a pipe, held to the procedure's own schema before anything
// is sent.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCode } from '@backchannel/server/error-code';
import type { Given } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { badUsage } from '../failure.ts';
import { readPipe } from '../pipe.ts';
import { issueLines } from './issues.ts';
import type { Procedure } from './procedures.ts';

/** Where the text of the input is: `-` is the pipe, `@FILE` a file, anything else is the JSON itself. */
export const isPiped = (argument: string | undefined): boolean => argument === '-';
export const isTyped = (argument: string | undefined): boolean =>
  argument !== undefined && !isPiped(argument) && !argument.startsWith('@');

/**
 * What to send; undefined for nothing.
 * @throws Failure with exit code 2 when it is no JSON, or nothing that the procedure takes: the message has every issue.
 */
export async function readInput(procedure: Procedure, { further, context }: Given): Promise<unknown> {
  const value = further === undefined ? undefined : parse(await readText(further, context));
  const { success = true, error } = procedure.input?.safeParse(value) ?? {};
  if (success || !error) return value;
  const { issuesOf } = await import('@backchannel/server/errors');
  const about = `the input does not fit; see: backchannel call --list ${procedure.name}`;
  throw badUsage([about, ...issueLines(issuesOf(error))].join('\n'));
}

async function readText(argument: string, { stdin, cwd }: CommandContext): Promise<string> {
  if (isPiped(argument)) return readPipe(stdin, 'the input');
  if (isTyped(argument)) return argument;
  const file = argument.slice(1);
  try {
    return readFileSync(resolve(cwd, file), 'utf8');
  } catch (error) {
    const reason = errorCode(error) || error;
    throw badUsage(`the input ${JSON.stringify(file)} cannot be read (${reason})`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not the parser's own words: they repeat what they read, which may be a password.
    throw badUsage(`the input is not JSON, such as '{"limit": 5}' (in single quotes, for the shell)`);
  }
}
