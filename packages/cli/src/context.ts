// What a command may know of the process that runs it. Only main.ts hands out the real one: no other file reads
// `process.env` or writes to the terminal.
import type { Readable } from 'node:stream';

export interface CommandContext {
  readonly env: NodeJS.ProcessEnv;
  /** The folder of `.env`; null for the one that the server looks in. */
  readonly root: string | null;
  /** Where the names of files begin that are given as arguments. */
  readonly cwd: string;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** A pipe, or a terminal. */
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

export interface Output {
  write(text: string): unknown;
}
