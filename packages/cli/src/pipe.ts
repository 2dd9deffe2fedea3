// What comes through the pipe that is standard input, as text.
import { errorCode } from '@backchannel/server/error-code';
import type { Input } from './context.ts';
import { badUsage } from './failure.ts';

/** More than this is nothing that a command takes, whoever pipes it in. In bytes. */
const MOST_PIPED_BYTES = 64 * 1024;

/**
 * All of it, empty where nothing comes; a byte order mark, as PowerShell puts before what it pipes, is left out.
 * @throws Failure with exit code 2 when it cannot be read; `what` says what was to be.
 */
export async function readPipe(stdin: Input, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stdin) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MOST_PIPED_BYTES) break;
    }
  } catch (error) {
    const reason = errorCode(error) || error;
    throw badUsage(`${what} cannot be read from standard input (${reason})`);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
