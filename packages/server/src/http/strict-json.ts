// JSON whose objects have each key once (I-JSON, RFC 7493, 2.3). JSON.parse keeps the last of several, and another parser on the
// way may have kept the first.

/** Text that no parser accepts. */
const NOT_JSON = '{';

/** The text, or text that is not JSON if an object in it has a key twice. */
export const strictJson = (text: string): string => (hasDuplicateKeys(text) ? NOT_JSON : text);

/** For text that is not JSON, any answer will do: the parser refuses it. It keeps a stack, so deep nesting does no harm. */
function hasDuplicateKeys(text: string): boolean {
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
        const keys = open.at(-1);
        if (keys && isKeyNext) {
          const key = unescaped(text.slice(at, end + 1));
          if (keys.has(key)) return true;
          keys.add(key);
        }
        at = end;
      }
    }
  }
  return false;
}

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
