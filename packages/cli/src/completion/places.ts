// What can be typed where: the commands and all that they take, flattened into a list that a shell can look up.
import type { Choices, Command, Options, Shape } from '../command.ts';

/** What the next word can be: one of these, or the name of a file. */
export type Next = readonly string[] | 'file';

/** A command, the words that led to it, and what can come next. */
export interface Place {
  /** Joined by spaces; empty for the beginning. */
  path: string;
  /** Whether further commands come next, and no argument. */
  isGroup: boolean;
  words: Next;
  /** The names of its options. */
  options: readonly string[];
  /** What comes after an option that takes a value. */
  values: readonly { option: string; next: Next }[];
}

/** Every place of these commands, the beginning first. */
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
  // They are written into a script as they are.
  const strange = words.find((word) => !/^[\w.-]+$/.test(word));
  if (strange !== undefined) throw new TypeError(`${JSON.stringify(strange)} cannot be completed: it needs quoting`);
  return words;
}
