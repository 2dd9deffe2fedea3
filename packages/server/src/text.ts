// Makes untrusted text safe for logs and terminals.

/** Writes C0, DEL, C1 and the Unicode line and direction controls as `\u…`, so that no log or terminal interprets them. */
export function escapeControlCharacters(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are the ones to escape
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** An API token, perhaps with encoded characters. Its prefix counts in any letter case, since only the rest is secret. */
const token = /bct_[\w%-]+/gi;
const HIDDEN = 'bct_…';

const encodedByte = /%([0-7][0-9a-f])/gi;

/** Puts `bct_…` in place of API tokens. */
export const hidePlainTokens = (text: string): string => text.replace(token, HIDDEN);

/**
 * Puts `bct_…` in place of percent-encoded API tokens as well, however often they are encoded. Text with an encoded one
 * is returned decoded, any other text as it is.
 */
export function hideTokens(text: string): string {
  const plain = hidePlainTokens(text);
  if (!text.includes('%')) return plain;
  let decoded = plain;
  // Each round makes the text shorter, and %2525… takes one. No token has a byte beyond ASCII.
  for (let before = ''; before !== decoded; ) {
    before = decoded;
    const once = before.replace(/%(?:25)+/g, '%').replace(encodedByte, (_, hex) => {
      return String.fromCharCode(Number.parseInt(hex, 16));
    });
    decoded = hidePlainTokens(once);
  }
  return decoded.includes(HIDDEN) ? decoded : plain;
}
