// Makes untrusted text safe for logs and terminals.

/** Writes C0, DEL, C1 and the Unicode line and direction controls as `\u…`, so that no log or terminal interprets them. */
export function escapeControlCharacters(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are the ones to escape
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
