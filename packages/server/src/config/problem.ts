/**
 * What a faulty configuration looks like to the person who mends it: one line a problem. It knows no single setting,
 * and no secret's value may ever be handed to it.
 */

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** The variable to mend, `NAME` or `NAME_FILE`; `.env` when the file itself can't be read. */
  variable: string;
  /** What is wrong, in plain words, without a full stop. */
  problem: string;
  /** A whole line that works, `NAME=value`, fit for a `.env` file. */
  example: string;
}

/** Every problem of a configuration at once. The message has one line for each and is meant to be shown as it is. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((each) => `${each.variable}: ${each.problem}. Example: ${each.example}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * A value as it may stand in a problem line: in quotes, at most 60 characters, without anything that could break the
 * line or drive a terminal, and without the user and password of a URL. Not for secrets.
 */
export function quoted(value: unknown): string {
  const text = String(value).replace(/\/\/[^/]*@/g, '//…@');
  const short = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  return JSON.stringify(short).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
}
