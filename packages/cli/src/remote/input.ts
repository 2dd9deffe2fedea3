// Reads the input of a call: JSON from the command line, a file or a pipe. It is validated with the procedure's own schema
// before anything is sent.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCode } from '@backchannel/server/error-code';
import { commandLine } from '@backchannel/server/installation';
import type { Given } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { badUsage } from '../failure.ts';
import { readPipe } from '../pipe.ts';
import { issueLines } from './issues.ts';
import type { Procedure } from './procedures.ts';

/** Tells where the input comes from: `-` is the pipe, `@FILE` a file, anything else the JSON itself. */
export const isPiped = (argument: string | undefined): boolean => argument === '-';
export const isTyped = (argument: string | undefined): boolean =>
  argument !== undefined && !isPiped(argument) && !argument.startsWith('@');

/**
 * Returns the input to send; undefined for none.
 * @throws Failure with exit code 2 when the input is not JSON, or not valid for the procedure. The message lists every
 * issue.
 */
export async function readInput(procedure: Procedure, { further, context }: Given): Promise<unknown> {
  const value = further === undefined ? undefined : parse(await readText(further, context));
  const { success = true, error } = procedure.input?.safeParse(value) ?? {};
  if (success || !error) return value;
  const { issuesOf } = await import('@backchannel/server/errors');
  const about = `the input is not valid. See: ${commandLine} call --list ${procedure.name}`;
  throw badUsage([about, ...issueLines(issuesOf(error))].join('\n'));
}

async function readText(argument: string, { stdin, cwd }: CommandContext): Promise<string> {
  if (isPiped(argument)) return readPipe(stdin, 'the input');
  if (isTyped(argument)) return argument;
  const file = argument.slice(1);
  try {
    // Without a byte order mark, with which some editors on Windows begin a file.
    return new TextDecoder().decode(readFileSync(resolve(cwd, file)));
  } catch (error) {
    const reason = errorCode(error) || error;
    throw badUsage(`cannot read the input ${JSON.stringify(file)} (${reason})`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Don't use the parser's message: it repeats the input, which may contain a password.
    throw badUsage(`the input is not JSON, such as '{"limit": 5}' (in single quotes, for the shell)`);
  }
}
