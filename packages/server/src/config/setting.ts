/** How a setting is described in the table of settings. It knows no single setting. */
import type * as z from 'zod';

/** The sections of `.env.example`, in their order. */
export const sections = ['Where it listens', 'The password', 'Sessions', 'Data', 'Docs and logs'] as const;

interface SettingFacts {
  section: (typeof sections)[number];
  /** A value that works. A secret's is new in each process, because a published one would be no secret. */
  example: string;
  /** What it means, in Markdown: a cell of the README's table, and the comment in `.env.example`. */
  description: string;
  /** What only the comment in `.env.example` adds. */
  details?: string;
}

export interface Setting<Value = unknown> extends SettingFacts {
  /** The environment variable. */
  name: string;
  schema: z.ZodType<Value, string | null | undefined>;
  /** The value on a fresh machine, as text. Empty if there is none. */
  default: string;
  /** Never shown, and may also be given as NAME_FILE. */
  secret: boolean;
}

/** A setting with a fixed default, which goes through the schema like any other value. */
export function fixed<T>(
  name: string,
  schema: z.ZodType<T, string>,
  facts: SettingFacts & { default: string },
): Setting<T> {
  return { name, schema: schema.prefault(facts.default), secret: false, ...facts };
}

/** A setting that is null if absent. `default` then says what follows from other settings. */
export function open<T>(
  name: string,
  schema: z.ZodType<T, string>,
  facts: SettingFacts & { default?: string },
): Setting<T | null> {
  return { name, schema: schema.nullish().transform((value) => value ?? null), default: '', secret: false, ...facts };
}

/** An open setting whose value is never shown. */
export function secret<T>(...setting: Parameters<typeof open<T>>): Setting<T | null> {
  return { ...open(...setting), secret: true };
}
