// Reads standard input, when it is a pipe, as text.
import { errorCode } from '@backchannel/server/error-code';
import type { Input } from './context.ts';
import { badUsage } from './failure.ts';

/** No command accepts more than this. */
const MAX_PIPED_BYTES = 64 * 1024;

/**
 * Returns the whole input, or an empty string without one. A byte order mark, which PowerShell adds, is dropped.
 * @throws Failure with exit code 2 when the input can't be read; `what` names it in the message.
 */
export async function readPipe(stdin: Input, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stdin) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_PIPED_BYTES) break;
    }
  } catch (error) {
    const reason = errorCode(error) || error;
    throw badUsage(`cannot read ${what} from standard input (${reason})`);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
