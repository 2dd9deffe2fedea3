/**
 * Reads the text of a `.env` file, one line at a time. It accepts what `util.parseEnv` reads without loss. Where that function
 * would drop, join or unescape a part of a value, this one reports a problem instead. No problem repeats any part of a line.
 */

interface DotEnvProblem {
  /** The variable; null if the line names none. */
  readonly name: string | null;
  /** What is wrong, in plain words, without a full stop. */
  readonly problem: string;
  /** A quote that the value does not contain, so that it could be put around it. */
  readonly quote: string;
  /** False if only this value is affected: that of another program is not our concern. True if the line itself is malformed. */
  readonly isMalformed: boolean;
}

export interface DotEnv {
  /** The names of all lines that have one, right or wrong. */
  readonly names: readonly string[];
  /** If a name appears twice, the last line counts. */
  readonly values: Readonly<NodeJS.Dict<string>>;
  readonly problems: readonly DotEnvProblem[];
}

const ASSIGNMENT = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*=([ \t]*)(.*?)[ \t]*$/s;
const BLANK_OR_COMMENT = /^[ \t]*(?:#.*)?$/s;
const QUOTES = ["'", '"', '`'];

export function parseDotEnv(text: string): DotEnv {
  const names: string[] = [];
  const values: NodeJS.Dict<string> = {};
  const problems: DotEnvProblem[] = [];
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    if (BLANK_OR_COMMENT.test(line)) continue;
    const [, name = null, space = '', rest = line] = ASSIGNMENT.exec(line) ?? [];
    const report = (problem: string, isMalformed: boolean) => {
      const quote =
        QUOTES.find(
          (each) =>
            !rest
              .replace(/^['"`]/, '')
              .slice(0, -1)
              .includes(each),
        ) ?? "'";
      problems.push({ name, problem: `in .env, line ${index + 1} ${problem}`, quote, isMalformed });
    };
    if (name === null) {
      report('is not NAME=value', true);
      continue;
    }
    names.push(name);
    const read = QUOTES.includes(rest.charAt(0)) ? readQuoted(rest) : readBare(rest, space);
    if ('value' in read) values[name] = read.value;
    else report(read.problem, read.isMalformed);
    // A wrong line must not let an earlier one count, either.
    if (!('value' in read)) delete values[name];
  }
  return { names, values, problems };
}

type Read = { value: string } | { problem: string; isMalformed: boolean };

function readQuoted(text: string): Read {
  const quote = text.charAt(0);
  const end = text.indexOf(quote, 1);
  if (end < 0) return { problem: 'has a quote that does not close at the end of the line', isMalformed: true };
  if (!/^[ \t]*$|^[ \t]+#/.test(text.slice(end + 1))) {
    const problem = 'goes on after the closing quote, and the rest would be lost: use a quote that is not in the value';
    return { problem, isMalformed: false };
  }
  const value = text.slice(1, end);
  if (quote === '"' && /\\(?:n|$)/.test(value)) {
    const problem = 'has a backslash that means something else in double quotes: use single quotes';
    return { problem, isMalformed: false };
  }
  return { value };
}

function readBare(text: string, space: string): Read {
  const hash = text.indexOf('#');
  if (hash < 0) return { value: text };
  const isComment = /[ \t]$/.test(space + text.slice(0, hash));
  if (isComment) return { value: text.slice(0, hash).replace(/[ \t]+$/, '') };
  const problem =
    'has a # right after other characters, which cuts the value off: put quotes around it, or a space before a comment';
  return { problem, isMalformed: false };
}
