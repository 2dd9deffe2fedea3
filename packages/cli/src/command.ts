// What a command is: its words, its options, and a function from them to a result. How arguments are read, helped with
// and refused is the same for all of them, and is here.
import { inspect, parseArgs } from 'node:util';
import { badUsage } from './failure.ts';
import { nearest } from './nearest.ts';

interface Option {
  type: 'boolean' | 'string';
  short?: string;
  /** What stands for the value in the help, for `string`. */
  value?: string;
  about: string;
}

type Options = Readonly<Record<string, Option>>;

type Values<O extends Options> = { -readonly [K in keyof O]?: O[K]['type'] extends 'boolean' ? boolean : string } & {
  json?: boolean;
};

/** What a command found. */
export interface Result {
  /** All that goes to stdout. */
  text: string;
  /** The same for scripts, printed instead with `--json`. */
  json: Record<string, unknown>;
  /** Whole sentences for stderr; with `--json` they are in the object, as `warnings`. */
  advice?: readonly string[];
  /** False where the answer is no: exit code 1. */
  ok?: boolean;
}

/** What is printed, and the exit code. */
export interface Outcome {
  stdout: string;
  stderr: readonly string[];
  exitCode: 0 | 1;
}

export interface Command {
  readonly help: string;
  /** @throws Failure when the arguments are wrong, or the command has no result. */
  run(args: readonly string[]): Promise<Outcome>;
}

const standard = {
  json: { type: 'boolean', about: 'print an object, for scripts' },
  help: { type: 'boolean', short: 'h', about: 'print this' },
} as const satisfies Options;

/** Makes a command of its parts. `usage` is what follows `backchannel`; `argument` is the one it may have. */
export function defineCommand<const O extends Options>(definition: {
  usage: string;
  about: string;
  options: O;
  /** Whether one argument is taken, and what it is called. */
  argument?: 'password';
  run(values: Values<O>, argument: string | undefined): Promise<Result>;
}): Command {
  const options: Options = { ...definition.options, ...standard };
  const help = [
    `Usage: backchannel ${definition.usage} [options]`,
    definition.about,
    `Options:\n${table(Object.entries(options).map(([name, option]) => [label(name, option), option.about]))}`,
  ].join('\n\n');

  return {
    help,
    run: async (args) => {
      const { values, positionals, wantsHelp } = readArguments(args, options, { argument: definition.argument });
      if (wantsHelp) return { stdout: help, stderr: [], exitCode: 0 };
      // The names and types are the ones that readArguments has just checked against the same table.
      const result = await definition.run(values as Values<O>, positionals[0]);
      const { text, json, advice, ok = true } = result;
      const exitCode = ok ? 0 : 1;
      if (!values.json) return { stdout: text, stderr: advice ?? [], exitCode };
      return { stdout: JSON.stringify({ ...json, ...(advice && { warnings: advice }) }), stderr: [], exitCode };
    },
  };
}

function readArguments(args: readonly string[], options: Options, { argument }: { argument: string | undefined }) {
  // Not strict: its words for what is wrong are not ours.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string | boolean> = {};
  const positionals: string[] = [];
  const wantsHelp = tokens.some((token) => token.kind === 'option' && token.name === 'help');
  if (wantsHelp) return { values, positionals, wantsHelp };

  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!option) throw unknownOption(rawName, options, argument);
    if (option.type === 'boolean' && value !== undefined) throw badUsage(`${rawName} takes no value`);
    if (option.type === 'string' && !value) throw badUsage(`${rawName} needs a value: ${label(name, option)}`);
    values[name] = value ?? true;
  }

  if (!argument && positionals.length > 0) throw badUsage('this command takes no argument');
  if (positionals.length > 1) throw badUsage(`one ${argument} at most; put quotes around one that has spaces`);
  return { values, positionals, wantsHelp };
}

function unknownOption(rawName: string, options: Options, argument: string | undefined) {
  const names = Object.keys(options).map((name) => `--${name}`);
  const meant = rawName.startsWith('--') ? nearest(rawName, names) : null;
  const hint = meant ? `did you mean ${meant}?` : `there are ${names.join(', ')}`;
  const dashed = argument ? ` (a ${argument} that begins with - goes after --, or is typed in when asked for)` : '';
  return badUsage(`unknown option ${inspect(rawName)}; ${hint}${dashed}`);
}

function label(name: string, { short, value }: Option): string {
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`;
}

/** Two columns, two spaces in. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}
