// How a command ends when it has no result. The message is complete, safe to print, and contains no password.

/** 1: no, or a fault found. 2: bad usage. 130: interrupted at the keyboard (128 + SIGINT, the convention of shells). */
export type FailureCode = 1 | 2 | 130;

/** Ends the command: the message goes to stderr as it is, without a stack. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: FailureCode;

  constructor(message: string, exitCode: FailureCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The arguments or the input can't be used. */
export const badUsage = (message: string): Failure => new Failure(`backchannel: ${message}`, 2);

/** The command was understood, and the answer is no. */
export const refusal = (message: string): Failure => new Failure(message, 1);
