// Where a password comes from: the argument, the terminal or a pipe; and what is wrong with it before anything is done
// with it. It never shows one.
import { passwordProblem } from '@backchannel/server/password';
import type { Given } from './command.ts';
import type { CommandContext, Input } from './context.ts';
import { badUsage } from './failure.ts';
import { readPipe } from './pipe.ts';
import { openPrompt } from './prompt.ts';

export interface PasswordInput {
  password: string;
  /** What is unwise about how it was given. */
  advice: string[];
}

/**
 * The argument where there is one; else what is typed at the terminal, or what comes through a pipe, without the one
 * line break at its end.
 * @throws Failure with exit code 2 when there is none, or one that bcrypt cannot hold, or, where it is one `toType`,
 * that no password field takes.
 */
export async function readPassword(
  { argument, context }: Pick<Given, 'argument' | 'context'>,
  { twice = false, toType = false }: { twice?: boolean; toType?: boolean } = {},
): Promise<PasswordInput> {
  const { stdin } = context;
  const password = argument ?? (stdin.isTTY ? await askPassword(context, twice) : await readPiped(stdin));
  refuseUnusable(password);
  // Whoever pipes one in twice, as it is asked for at a terminal, meant one.
  if (toType && hasControlCharacter(password)) {
    throw badUsage(
      'the password has a line break or another control character, which no password field takes: nothing is set; ' +
        'through a pipe it comes once',
    );
  }
  const advice = characterAdvice(password);
  if (argument !== undefined) {
    advice.push(
      "An argument stays in the shell's history and shows in the list of processes: leave it out to be asked.",
    );
  }
  return { password, advice };
}

async function askPassword(context: CommandContext, twice: boolean): Promise<string> {
  using prompt = openPrompt(context);
  const password = (await prompt.ask('Password: ')) ?? '';
  // Before it is asked for again: nobody types a useless one twice.
  refuseUnusable(password);
  if (twice && (await prompt.ask('The same again: ')) !== password) throw badUsage('the two are not the same');
  return password;
}

async function readPiped(stdin: Input): Promise<string> {
  const text = await readPipe(stdin, 'the password');
  if (text === '') {
    throw badUsage('no password: pipe one in, or run this at a terminal to be asked (docker run needs -it)');
  }
  return text.replace(/\r?\n$/, '');
}

function refuseUnusable(password: string): void {
  const problem = passwordProblem(password);
  if (problem) throw badUsage(problem);
  if (password.includes('\uFFFD')) throw badUsage('The password is not UTF-8 text.');
}

const hasControlCharacter = (password: string): boolean => /\p{Cc}/u.test(password);

/** The ways in which a password is easily not the one that was meant. */
function characterAdvice(password: string): string[] {
  const advice: string[] = [];
  if (hasControlCharacter(password)) {
    advice.push('The password has a line break or another control character, which no password field takes.');
  } else if (password !== password.trim()) {
    advice.push('The password begins or ends with a space, which counts.');
  }
  return advice;
}
