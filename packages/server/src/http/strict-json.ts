// JSON as I-JSON restricts it (RFC 7493). Objects have each key once (2.3): JSON.parse keeps the last of several, and another
// parser on the way may have kept the first. Texts are valid Unicode (2.1): half of a surrogate pair cannot be stored as UTF-8.

/** Text that no parser accepts. */
const NOT_JSON = '{';

/** The text, or text that is not JSON if an object in it has a key twice or a text in it is not valid Unicode. */
export const strictJson = (text: string): string => (isStrict(text) ? text : NOT_JSON);

/** For text that is not JSON, any answer will do: the parser refuses it. It keeps a stack, so deep nesting does no harm. */
function isStrict(text: string): boolean {
  /** The keys of each open object; null for an array. */
  const open: (Set<string> | null)[] = [];
  let isKeyNext = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push(new Set());
        isKeyNext = true;
        break;
      case '[':
        open.push(null);
        isKeyNext = false;
        break;
      case '}':
      case ']':
        open.pop();
        isKeyNext = false;
        break;
      case ',':
        isKeyNext = open.at(-1) !== null;
        break;
      case ':':
        isKeyNext = false;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (hasLoneSurrogate(text.slice(at, end + 1))) return false;
        const keys = open.at(-1);
        if (keys && isKeyNext) {
          const key = unescaped(text.slice(at, end + 1));
          if (keys.has(key)) return false;
          keys.add(key);
        }
        at = end;
      }
    }
  }
  return true;
}

/** UTF-8 has no surrogates, so half of a pair can only come from an escape. */
const hasLoneSurrogate = (quoted: string): boolean => /\\ud[89a-f]/i.test(quoted) && !unescaped(quoted).isWellFormed();

/** The index of the closing quote, or of the end of the text. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function unescaped(quoted: string): string {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted;
  }
}
