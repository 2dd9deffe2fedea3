// Reads a line at the terminal without an echo. It knows keys, not passwords. The question goes to stderr.
import { on } from 'node:events';
import type { CommandContext } from './context.ts';
import { Failure } from './failure.ts';

export interface Prompt {
  /**
   * The line that was typed or pasted; null when the input ended instead (Ctrl-D on an empty line).
   * @throws Failure with exit code 130 at Ctrl-C.
   */
  ask(question: string): Promise<string | null>;
  /** Restores the terminal. */
  [Symbol.dispose](): void;
}

/** Takes over the terminal at stdin. Nothing that is typed is echoed until the prompt is disposed of. */
export function openPrompt({ stdin, stderr }: Pick<CommandContext, 'stdin' | 'stderr'>): Prompt {
  const chunks = on(stdin, 'data', { close: ['end', 'close'] });
  stdin.setEncoding('utf8');
  stdin.setRawMode?.(true);
  stdin.resume();
  /** Text that was typed or pasted after the end of a line. It answers the next question. */
  let ahead = '';

  const readLine = async () => {
    let line = '';
    for (;;) {
      const keys = readKeys(line, ahead);
      line = keys.line;
      ahead = keys.rest;
      if (keys.end === 'enter') return line;
      if (keys.end === 'interrupt') throw new Failure('', 130);
      if (keys.end === 'no more') return null;
      const next = await chunks.next();
      if (next.done) return null;
      ahead = String(next.value[0]);
    }
  };

  return {
    ask: async (question) => {
      stderr.write(question);
      try {
        return await readLine();
      } finally {
        stderr.write('\n');
      }
    },
    [Symbol.dispose]: () => {
      stdin.setRawMode?.(false);
      stdin.pause();
    },
  };
}

interface Keys {
  line: string;
  end: 'enter' | 'interrupt' | 'no more' | null;
  rest: string;
}

const graphemes = new Intl.Segmenter();

function readKeys(before: string, text: string): Keys {
  let line = before;
  const typed = withoutEscapes(text);
  for (let at = 0; at < typed.length; ) {
    const key = String.fromCodePoint(typed.codePointAt(at) ?? 0);
    at += key.length;
    if (key === '\r' || key === '\n') {
      // A line pasted from a Windows file ends with both.
      const rest = typed.slice(at);
      return { line, end: 'enter', rest: key === '\r' && rest.startsWith('\n') ? rest.slice(1) : rest };
    }
    if (key === '\u0003') return { line, end: 'interrupt', rest: '' };
    if (key === '\u0004' && line === '') return { line, end: 'no more', rest: '' };
    if (key === '\u007f' || key === '\b') line = line.slice(0, lastGrapheme(line));
    else if (key === '\u0015') line = '';
    // No other key produces a character that a password field accepts.
    else if (!/\p{Cc}/u.test(key)) line += key;
  }
  return { line, end: null, rest: '' };
}

/** The start of the last character as a person counts it, accents included. Backspace deletes from there. */
function lastGrapheme(line: string): number {
  return [...graphemes.segment(line)].at(-1)?.index ?? 0;
}

/** Arrow and function keys send a whole escape sequence at once (ECMA-48, 5.4). A lone Escape is dropped by readKeys. */
function withoutEscapes(text: string): string {
  const [first = '', ...rest] = text.split('\u001b');
  return first + rest.map((piece) => piece.replace(/^(?:\[[0-?]*[ -/]*[@-~]|O[@-~])/, '')).join('');
}
