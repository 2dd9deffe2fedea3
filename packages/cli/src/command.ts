// Defines a command: its words, its options, and a function from them to a result. Parsing, help texts and error messages
// for arguments are the same for every command, and are here.
import { inspect, parseArgs } from 'node:util';
import { nearest } from '@backchannel/server/checks/nearest';
import { commandLine } from '@backchannel/server/installation';
import { escapeControlCharacters } from '@backchannel/server/text';
import type { CommandContext } from './context.ts';
import { badUsage } from './failure.ts';
import { table } from './table.ts';

/** The candidates for a word in shell completion. A function is called only when a completion script is printed. */
export type Choices = readonly string[] | (() => Promise<readonly string[]>);

interface Option {
  type: 'boolean' | 'string';
  short?: string;
  /** For `string`: the placeholder for the value in the help. The shell completes file names for FILE. */
  value?: string;
  choices?: Choices;
  /** For `string`: whether the option may be repeated. */
  multiple?: boolean;
  about: string;
}

export type Options = Readonly<Record<string, Option>>;

type Value<O extends Option> = O['type'] extends 'boolean' ? boolean : O extends { multiple: true } ? string[] : string;
type Values<O extends Options> = { -readonly [K in keyof O]?: Value<O[K]> } & { json?: boolean };

/** The result of a command. */
export interface Result {
  /** Everything that goes to stdout. */
  text: string;
  /** The same for scripts. `--json` prints it instead of `text`. */
  json: Record<string, unknown>;
  /** Whole sentences for stderr. With `--json` they are in the object, as `warnings`. */
  advice?: readonly string[];
  /** Sentences for stderr that repeat in words what the object says. `--json` leaves them out. */
  remarks?: readonly string[];
  /** False when the answer is no: the exit code is then 1. */
  ok?: boolean;
}

/** What a command gets besides its options. */
export interface Given {
  argument: string | undefined;
  /** The second argument. */
  further: string | undefined;
  context: CommandContext;
}

/** The output of a command, and its exit code. */
export interface Outcome {
  stdout: string;
  stderr: readonly string[];
  exitCode: 0 | 1;
}

/** What can follow a command's name: options and an argument, or subcommands. */
export type Shape =
  | { readonly options: Options; readonly argument?: string; readonly choices?: Choices }
  | { readonly commands: Readonly<Record<string, Command>> };

export interface Command {
  readonly help: string;
  readonly shape: Shape;
  /** @throws Failure when the arguments are invalid, or when the command has no result. */
  run(args: readonly string[], context: CommandContext): Promise<Outcome>;
}

const standard = {
  json: { type: 'boolean', about: 'print a JSON object, for scripts' },
  help: { type: 'boolean', short: 'h', about: 'print this help' },
} as const satisfies Options;

/** Creates a command from its parts. `usage` is the text that follows the program's name. */
export function defineCommand<const O extends Options>(definition: {
  usage: string;
  about: string;
  options: O;
  /** The name of the argument, if the command takes one. */
  argument?: 'password' | 'ID' | 'SOURCE' | 'FILE' | 'PROCEDURE' | 'SHELL' | 'HOST' | 'URL';
  /** The candidates for the argument in shell completion. */
  choices?: Choices;
  /** The name of an optional second argument. */
  further?: 'JSON' | 'UPSTREAM';
  run(values: Values<O>, given: Given): Promise<Result>;
}): Command {
  const { argument, choices, further } = definition;
  const options: Options = { ...definition.options, ...standard };
  const help = [
    `Usage: ${commandLine} ${definition.usage} [options]`,
    definition.about,
    `Options:\n${indented(Object.entries(options).map(([name, option]) => [label(name, option), option.about]))}`,
  ].join('\n\n');

  return {
    help,
    shape: { options, ...(argument && { argument }), ...(choices && { choices }) },
    run: async (args, context) => {
      const { values, positionals, wantsHelp } = readArguments(args, options, { argument, further });
      if (wantsHelp) return { stdout: help, stderr: [], exitCode: 0 };
      // readArguments has just checked the names and types against the same table.
      const result = await definition.run(values as Values<O>, {
        argument: positionals[0],
        further: positionals[1],
        context,
      });
      const { text, json, advice = [], remarks = [], ok = true } = result;
      const exitCode = ok ? 0 : 1;
      if (!values.json) return { stdout: text, stderr: [...remarks, ...advice], exitCode };
      return { stdout: toJson({ ...json, ...(result.advice && { warnings: advice }) }), stderr: [], exitCode };
    },
  };
}

/** Creates a command that has subcommands. `usage` is its name. */
export function defineGroup(definition: {
  usage: string;
  about: string;
  commands: Readonly<Record<string, { about: string; command: Command }>>;
}): Command {
  const { usage, about, commands } = definition;
  const names = Object.keys(commands);
  const line = `${commandLine} ${usage} ${names.join('|')}`;
  const help = [
    `Usage: ${line} [options]`,
    about,
    `Commands:\n${indented(Object.entries(commands).map(([name, each]) => [name, each.about]))}`,
    'Each command accepts --json, to print a JSON object for scripts, and --help.',
  ].join('\n\n');

  return {
    help,
    shape: { commands: Object.fromEntries(Object.entries(commands).map(([name, each]) => [name, each.command])) },
    run: async ([name, ...rest], context) => {
      if (name === undefined) throw badUsage(`${usage} needs a command. Usage: ${line}`);
      if (name === '--help' || name === '-h') return { stdout: help, stderr: [], exitCode: 0 };
      const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
      if (entry) return entry.command.run(rest, context);
      if (name.startsWith('-')) throw badUsage(`unknown option ${inspect(name)}. Put the command first: ${line}`);
      const meant = nearest(name, names);
      const hint = meant ? `Did you mean ${usage} ${meant}? ` : '';
      throw badUsage(`unknown command ${inspect(`${usage} ${name}`)}. ${hint}Usage: ${line}`);
    },
  };
}

function readArguments(
  args: readonly string[],
  options: Options,
  { argument, further }: { argument: string | undefined; further: string | undefined },
) {
  // Not strict, because the loop below has better error messages.
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const values: Record<string, string | boolean | string[]> = {};
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
    const earlier = values[name];
    values[name] = option.multiple ? [...(Array.isArray(earlier) ? earlier : []), value ?? ''] : (value ?? true);
  }

  if (!argument && positionals.length > 0) throw badUsage('this command takes no arguments');
  if (positionals.length > (further ? 2 : 1)) {
    const most = further ? `one ${argument} and one ${further}` : `one ${argument}`;
    throw badUsage(`too many arguments, expected ${most}. Put quotes around an argument that contains spaces`);
  }
  return { values, positionals, wantsHelp };
}

function unknownOption(rawName: string, options: Options, argument: string | undefined) {
  const names = Object.keys(options).map((name) => `--${name}`);
  const meant = rawName.startsWith('--') ? nearest(rawName, names) : null;
  const hint = meant ? `Did you mean ${meant}?` : `Options: ${names.join(', ')}`;
  const mayBePassword = argument === 'password';
  const dashed = mayBePassword
    ? ' (Put a password that begins with - after --, or leave it out to be asked for it.)'
    : '';
  return badUsage(`unknown option ${inspect(rawName)}. ${hint}${dashed}`);
}

function label(name: string, { short, value }: Option): string {
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`;
}

/** One line of JSON that can't drive the terminal: JSON itself leaves some control characters as they are. */
const toJson = (value: unknown): string => escapeControlCharacters(JSON.stringify(value));

/** A table indented by two spaces, as in a help text. */
export const indented = (rows: readonly (readonly [string, string])[]): string => table(rows).replace(/^/gm, '  ');
