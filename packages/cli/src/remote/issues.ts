// What is wrong with an input, field by field, whoever says so. It cannot drive the terminal.
import { escapeControlCharacters } from '@backchannel/server/text';

export const issueLines = (issues: readonly { path: string; message: string }[]): string[] =>
  issues.map(({ path, message }) => `  ${escapeControlCharacters(path === '' ? message : `${path}: ${message}`)}`);
