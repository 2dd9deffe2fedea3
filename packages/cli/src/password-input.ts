// Reads a password from the argument, the terminal or a pipe, and rejects one that can't be used. It never prints a
// password.
import { passwordProblem } from '@backchannel/server/password';
import type { Given } from './command.ts';
import type { CommandContext, Input } from './context.ts';
import { badUsage } from './failure.ts';
import { readPipe } from './pipe.ts';
import { openPrompt } from './prompt.ts';

export interface PasswordInput {
  password: string;
  /** Warnings about the password and about how it was given. */
  advice: string[];
}

/**
 * Returns the argument if there is one. Otherwise it asks at the terminal, or reads the pipe and drops one line break at
 * the end. Set `toType` for a password that you will type into a sign-in page.
 * @throws Failure with exit code 2 when there is no password, when bcrypt can't hold it, or when `toType` is set and no
 * password field accepts it.
 */
export async function readPassword(
  { argument, context }: Pick<Given, 'argument' | 'context'>,
  { twice = false, toType = false }: { twice?: boolean; toType?: boolean } = {},
): Promise<PasswordInput> {
  const { stdin } = context;
  const password = argument ?? (stdin.isTTY ? await askPassword(context, twice) : await readPiped(stdin));
  refuseUnusable(password);
  // Two lines in the pipe are likely the same password twice, as at the terminal.
  if (toType && hasControlCharacter(password)) {
    throw badUsage(
      'the password contains a line break or another control character, which no password field accepts. ' +
        'Nothing was changed. Pipe the password in once',
    );
  }
  const advice = characterAdvice(password);
  if (argument !== undefined) {
    advice.push(
      'A password as an argument stays in the shell history and shows in the process list. Leave it out to be asked for it.',
    );
  }
  return { password, advice };
}

async function askPassword(context: CommandContext, twice: boolean): Promise<string> {
  using prompt = openPrompt(context);
  const password = (await prompt.ask('Password: ')) ?? '';
  // Reject an unusable password before you have to type it twice.
  refuseUnusable(password);
  if (twice && (await prompt.ask('Repeat the password: ')) !== password) throw badUsage('the passwords do not match');
  return password;
}

async function readPiped(stdin: Input): Promise<string> {
  const text = await readPipe(stdin, 'the password');
  if (text === '') {
    throw badUsage(
      'no password given. Pipe one in, or run this in a terminal to be asked for it (docker run needs -it)',
    );
  }
  return text.replace(/\r?\n$/, '');
}

function refuseUnusable(password: string): void {
  const problem = passwordProblem(password);
  if (problem) throw badUsage(problem);
  if (password.includes('\uFFFD')) throw badUsage('The password is not UTF-8 text.');
}

const hasControlCharacter = (password: string): boolean => /\p{Cc}/u.test(password);

/** Warns about characters that are easily part of a password by mistake. */
function characterAdvice(password: string): string[] {
  const advice: string[] = [];
  if (hasControlCharacter(password)) {
    advice.push('The password contains a line break or another control character, which no password field accepts.');
  } else if (password !== password.trim()) {
    advice.push('The password begins or ends with a space. The space is part of it.');
  }
  return advice;
}
