// Runs a command line: prints the result of the command, or the reason why there is none. It knows no command.
import { runCommand } from './commands.ts';
import type { CommandContext } from './context.ts';
import { Failure } from './failure.ts';

/** Runs the command that `argv` names and returns the exit code. */
export async function run(argv: readonly string[], context: CommandContext): Promise<number> {
  const { stdout, stderr } = context;
  try {
    const outcome = await runCommand(argv, context);
    if (outcome.stderr.length > 0) stderr.write(`${outcome.stderr.join('\n')}\n`);
    if (outcome.stdout !== '') stdout.write(`${outcome.stdout}\n`);
    return outcome.exitCode;
  } catch (error) {
    const isExpected = error instanceof Failure;
    const text = isExpected ? error.message : String(error instanceof Error ? error.stack : error);
    if (text !== '') stderr.write(`${text}\n`);
    return isExpected ? error.exitCode : 1;
  }
}
