/**
 * How problems with a configuration are reported: one line each. It knows no single setting. Never pass it the value of a
 * secret.
 */

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** The variable to fix, `NAME` or `NAME_FILE`. `.env` if the file itself can't be read. */
  variable: string;
  /** What is wrong, in plain words, without a full stop. */
  problem: string;
  /** A whole line that works, `NAME=value`, fit for a `.env` file. */
  example: string;
}

/** Every problem of a configuration at once. The message has one line for each, ready to print. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((each) => `${each.variable}: ${each.problem}. Example: ${each.example}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * A value for a problem line: in quotes, at most 60 characters, without line breaks and control characters, and without the
 * user and password of a URL. Not for secrets.
 */
export function quoted(value: unknown): string {
  const text = String(value).replace(/\/\/[^/]*@/g, '//…@');
  const short = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  return JSON.stringify(short).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}
