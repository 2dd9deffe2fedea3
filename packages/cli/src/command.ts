// What a command is: its words, its options, and a function from them to a result. How arguments are read, helped with
// and refused is the same for all of them, and is here.
import { inspect, parseArgs } from 'node:util';
import { nearest } from '@backchannel/server/checks/nearest';
import { escapeControlCharacters } from '@backchannel/server/text';
import type { CommandContext } from './context.ts';
import { badUsage } from './failure.ts';
import { table } from './table.ts';

/** What a word can be, for the shell's completion; loaded when that is made and not before. */
export type Choices = readonly string[] | (() => Promise<readonly string[]>);

interface Option {
  type: 'boolean' | 'string';
  short?: string;
  /** What stands for the value in the help, for `string`; of a FILE the shell knows the names. */
  value?: string;
  choices?: Choices;
  /** Whether it may be given several times, for `string`. */
  multiple?: boolean;
  about: string;
}

export type Options = Readonly<Record<string, Option>>;

type Value<O extends Option> = O['type'] extends 'boolean' ? boolean : O extends { multiple: true } ? string[] : string;
type Values<O extends Options> = { -readonly [K in keyof O]?: Value<O[K]> } & { json?: boolean };

/** What a command found. */
export interface Result {
  /** All that goes to stdout. */
  text: string;
  /** The same for scripts, printed instead with `--json`. */
  json: Record<string, unknown>;
  /** Whole sentences for stderr; with `--json` they are in the object, as `warnings`. */
  advice?: readonly string[];
  /** Sentences for stderr that say in words what is in the object: with `--json` they are left out. */
  remarks?: readonly string[];
  /** False where the answer is no: exit code 1. */
  ok?: boolean;
}

/** What a command is given beside its options. */
export interface Given {
  argument: string | undefined;
  /** The second argument. */
  further: string | undefined;
  context: CommandContext;
}

/** What is printed, and the exit code. */
export interface Outcome {
  stdout: string;
  stderr: readonly string[];
  exitCode: 0 | 1;
}

/** What can follow a command's name: its own options and argument, or further commands. */
export type Shape =
  | { readonly options: Options; readonly argument?: string; readonly choices?: Choices }
  | { readonly commands: Readonly<Record<string, Command>> };

export interface Command {
  readonly help: string;
  readonly shape: Shape;
  /** @throws Failure when the arguments are wrong, or the command has no result. */
  run(args: readonly string[], context: CommandContext): Promise<Outcome>;
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
  argument?: 'password' | 'ID' | 'SOURCE' | 'FILE' | 'PROCEDURE' | 'SHELL' | 'HOST' | 'URL';
  /** What the argument can be. */
  choices?: Choices;
  /** A second argument that may come after the first. */
  further?: 'JSON' | 'UPSTREAM';
  run(values: Values<O>, given: Given): Promise<Result>;
}): Command {
  const { argument, choices, further } = definition;
  const options: Options = { ...definition.options, ...standard };
  const help = [
    `Usage: backchannel ${definition.usage} [options]`,
    definition.about,
    `Options:\n${indented(Object.entries(options).map(([name, option]) => [label(name, option), option.about]))}`,
  ].join('\n\n');

  return {
    help,
    shape: { options, ...(argument && { argument }), ...(choices && { choices }) },
    run: async (args, context) => {
      const { values, positionals, wantsHelp } = readArguments(args, options, { argument, further });
      if (wantsHelp) return { stdout: help, stderr: [], exitCode: 0 };
      // The names and types are the ones that readArguments has just checked against the same table.
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

/** Commands under one word. `usage` is the word. */
export function defineGroup(definition: {
  usage: string;
  about: string;
  commands: Readonly<Record<string, { about: string; command: Command }>>;
}): Command {
  const { usage, about, commands } = definition;
  const names = Object.keys(commands);
  const line = `backchannel ${usage} ${names.join('|')}`;
  const help = [
    `Usage: ${line} [options]`,
    about,
    `Commands:\n${indented(Object.entries(commands).map(([name, each]) => [name, each.about]))}`,
    'Each takes --json, to print an object for scripts, and --help.',
  ].join('\n\n');

  return {
    help,
    shape: { commands: Object.fromEntries(Object.entries(commands).map(([name, each]) => [name, each.command])) },
    run: async ([name, ...rest], context) => {
      if (name === undefined) throw badUsage(`${usage} takes a command: ${line}`);
      if (name === '--help' || name === '-h') return { stdout: help, stderr: [], exitCode: 0 };
      const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
      if (entry) return entry.command.run(rest, context);
      if (name.startsWith('-')) throw badUsage(`unknown option ${inspect(name)}; a command comes first: ${line}`);
      const meant = nearest(name, names);
      const hint = meant ? `did you mean ${usage} ${meant}? ` : '';
      throw badUsage(`unknown command ${inspect(`${usage} ${name}`)}; ${hint}Usage: ${line}`);
    },
  };
}

function readArguments(
  args: readonly string[],
  options: Options,
  { argument, further }: { argument: string | undefined; further: string | undefined },
) {
  // Not strict: its words for what is wrong are not ours.
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

  if (!argument && positionals.length > 0) throw badUsage('this command takes no argument');
  if (positionals.length > (further ? 2 : 1)) {
    const most = further ? `one ${argument} and one ${further}` : `one ${argument}`;
    throw badUsage(`${most} at most; put quotes around one that has spaces`);
  }
  return { values, positionals, wantsHelp };
}

function unknownOption(rawName: string, options: Options, argument: string | undefined) {
  const names = Object.keys(options).map((name) => `--${name}`);
  const meant = rawName.startsWith('--') ? nearest(rawName, names) : null;
  const hint = meant ? `did you mean ${meant}?` : `there are ${names.join(', ')}`;
  const isPerhapsPassword = argument === 'password';
  const dashed = isPerhapsPassword
    ? ' (a password that begins with - goes after --, or is typed in when asked for)'
    : '';
  return badUsage(`unknown option ${inspect(rawName)}; ${hint}${dashed}`);
}

function label(name: string, { short, value }: Option): string {
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`;
}

/** One line, which drives no terminal either: JSON leaves some control characters as they are. */
const toJson = (value: unknown): string => escapeControlCharacters(JSON.stringify(value));

/** A table two spaces in, as it stands in a help. */
export const indented = (rows: readonly (readonly [string, string])[]): string => table(rows).replace(/^/gm, '  ');
