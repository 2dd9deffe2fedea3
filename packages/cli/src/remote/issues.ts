// Formats the issues with an input, one line per field. Control characters are escaped, so a line can't drive the terminal.
import { escapeControlCharacters } from '@backchannel/server/text';

export const issueLines = (issues: readonly { path: string; message: string }[]): string[] =>
  issues.map(({ path, message }) => `  ${escapeControlCharacters(path === '' ? message : `${path}: ${message}`)}`);
