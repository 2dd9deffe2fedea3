// Flattens the commands, options and arguments into a list in which a shell can look up what comes next.
import type { Choices, Command, Options, Shape } from '../command.ts';

/** The candidates for the next word, or `file` for a file name. */
export type Next = readonly string[] | 'file';

/** A command, the words that lead to it, and what can come next. */
export interface Place {
  /** The words, joined by spaces. Empty at the start of the line. */
  path: string;
  /** Whether subcommands come next instead of an argument. */
  isGroup: boolean;
  words: Next;
  /** The names of the command's options. */
  options: readonly string[];
  /** The candidates after each option that takes a value. */
  values: readonly { option: string; next: Next }[];
}

/** Every place of these commands. The start of the line comes first. */
export async function listPlaces(commands: Readonly<Record<string, Command>>): Promise<Place[]> {
  const names = Object.keys(commands);
  const start = { path: '', isGroup: true, words: [...names, 'help'], options: ['--help', '--version'], values: [] };
  const below = await Promise.all(names.map((name) => placesAt(name, commands[name]?.shape)));
  return [start, ...below.flat()];
}

async function placesAt(path: string, shape: Shape | undefined): Promise<Place[]> {
  if (!shape) return [];
  if ('commands' in shape) {
    const names = Object.keys(shape.commands);
    const below = await Promise.all(names.map((name) => placesAt(`${path} ${name}`, shape.commands[name]?.shape)));
    return [{ path, isGroup: true, words: names, options: ['--help'], values: [] }, ...below.flat()];
  }
  const { options, argument, choices } = shape;
  const words = argument === 'FILE' ? 'file' : await resolve(choices);
  const names = Object.keys(options).map((name) => `--${name}`);
  return [{ path, isGroup: false, words, options: names, values: await valuesOf(options) }];
}

function valuesOf(options: Options): Promise<Place['values']> {
  const taking = Object.entries(options).filter(([, { type }]) => type === 'string');
  return Promise.all(
    taking.map(async ([name, { value, choices }]) => ({
      option: `--${name}`,
      next: value === 'FILE' ? ('file' as const) : await resolve(choices),
    })),
  );
}

async function resolve(choices: Choices = []): Promise<readonly string[]> {
  const words = typeof choices === 'function' ? await choices() : choices;
  // The words go into a script without quotes.
  const unsafe = words.find((word) => !/^[\w.-]+$/.test(word));
  if (unsafe !== undefined) throw new TypeError(`${JSON.stringify(unsafe)} cannot be completed: it needs quoting`);
  return words;
}
