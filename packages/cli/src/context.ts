// What a command may know about the process that runs it. Only main.ts provides the real one: no other file reads
// `process.env` or writes to the terminal.
import type { Readable } from 'node:stream';

export interface CommandContext {
  readonly env: NodeJS.ProcessEnv;
  /** The folder of `.env`; null for the folder in which the server looks. */
  readonly root: string | null;
  /** The folder that file arguments are relative to. */
  readonly cwd: string;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
}

/** A pipe, or a terminal. */
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

interface Output {
  write(text: string): unknown;
}
