// Lines of `.env` whose value a parser could cut, join or unescape without a word. Each is read as it stands, or is a problem.
// Runs on one engine: it reads a text file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config/config.ts';
import { parseDotEnv } from '../../src/config/dot-env.ts';
import { createRandom } from '../support/random.ts';

/** The problems that a start prints for this `.env`, one line each; none if it starts. */
function problems(text: string, env: NodeJS.ProcessEnv = {}): string[] {
  const root = mkdtempSync(join(tmpdir(), 'backchannel-dot-env-'));
  try {
    writeFileSync(join(root, '.env'), text);
    loadConfig({ env, root });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

describe('a value is read as it stands', () => {
  test.each([
    ["'it is a long horse'", 'it is a long horse'],
    [`"it's a long horse"`, "it's a long horse"],
    [`'say "hello" world'`, 'say "hello" world'],
    ['`it\'s a "long" horse`', 'it\'s a "long" horse'],
    ["it's a long horse", "it's a long horse"],
    ["O'Brien", "O'Brien"],
    ["'abc#def' # a comment", 'abc#def'],
    ["'abc'", 'abc'],
    ["'  spaces  '", '  spaces  '],
    ['  bare with spaces   ', 'bare with spaces'],
    ['bare # comment', 'bare'],
    ['bare\t# comment', 'bare'],
    ['a\\b', 'a\\b'],
    ["'a\\nb'", 'a\\nb'],
    ['"a\\tb"', 'a\\tb'],
    ['a=b==', 'a=b=='],
    ['$HOME $(pwd)', '$HOME $(pwd)'],
    ["''", ''],
    ['', ''],
    ['# only a comment', undefined],
  ])('MASTER_PASSWORD=%s', (written, value) => {
    const line = `MASTER_PASSWORD=${written.startsWith('#') ? ` ${written}` : written}`;
    const parsed = parseDotEnv(`PORT=1\r\n${line}\r\n`);
    expect(parsed).toEqual({
      names: ['PORT', 'MASTER_PASSWORD'],
      values: { PORT: '1', MASTER_PASSWORD: value ?? '' },
      problems: [],
    });
    expect(parseEnv(line).MASTER_PASSWORD ?? '').toBe(value ?? '');
  });

  test('as Node itself reads it, whatever is accepted', () => {
    const random = createRandom(7).below;
    let accepted = 0;
    for (let round = 0; round < 20_000; round++) {
      const text = Array.from({ length: random(10) }, () => 'ab\'"`#\\n $= \t'[random(13)]).join('');
      const { values, problems: found } = parseDotEnv(`X=${text}`);
      if (found.length > 0) continue;
      accepted++;
      expect([text, values.X]).toEqual([text, parseEnv(`X=${text}`).X ?? '']);
    }
    expect(accepted).toBeGreaterThan(5000);
  });

  test('with export, with spaces around the =, after a byte order mark, and the last of several', () => {
    expect(parseDotEnv('export A=1\n B = 2 \n# C=3\n\nA=4').values).toEqual({ A: '4', B: '2' });
    expect(problems('\uFEFFPORT=9000\r\n')).toEqual([]);
  });
});

const cut = 'goes on after the closing quote, and the rest would be lost: use a quote that is not in the value';
const open = 'has a quote that does not close at the end of the line';
const unescaped = 'has a backslash that means something else in double quotes: use single quotes';
const comment =
  'has a # right after other characters, which cuts the value off: put quotes around it, or a space before a comment';

describe('a value that would be cut, joined or unescaped is a problem, with a line that works', () => {
  test.each([
    ["'it's a long horse'", cut],
    ['"say \\"hello\\" world"', cut],
    ["'abcdef'#ghi", cut],
    ["'abcdef'ghi", cut],
    ['"abc" "def"', cut],
    ["'O'Brien'", cut],
    ["'O''Brien'", cut],
    ["'no end", open],
    ['"no end', open],
    ['`no end', open],
    ["'", open],
    ['"no end \\"', unescaped],
    ['"two\\nlines"', unescaped],
    ['a#b', comment],
    ['#b', comment],
    ["it's#1", comment],
  ])('MASTER_PASSWORD=%s', (written, why) => {
    const [line = '', ...more] = problems(`PORT=1\nMASTER_PASSWORD=${written}\nDOCS=off\n`);
    expect(more).toEqual([]);
    const [, problem, example = ''] = /^MASTER_PASSWORD: in \.env, line 2 (.*)\. Example: (.*)$/.exec(line) ?? [];
    expect(problem).toBe(why);
    expect(parseDotEnv(example).problems).toEqual([]);
    for (const part of ['horse', 'world', 'ghi', 'Brien', 'no end', 'lines']) expect(line).not.toContain(part);
  });

  test('an unclosed quote does not swallow the lines after it', () => {
    const { values } = parseDotEnv(`A='x\nPORT=1\nB=y'\n`);
    expect(values).toEqual({ PORT: '1', B: "y'" });
  });

  test('an earlier line does not count instead', () => {
    expect(parseDotEnv(`A=1\nA='x'y`).values).toEqual({});
  });

  test.each(["SECRET_KEY_FILE='a'b", "OPERATOR_NAME='O'Brien'", 'COOKIE_NAME=a#b'])('in any setting: %s', (line) => {
    expect(problems(line)).toEqual([expect.stringMatching(`^${line.split('=')[0]}: in \\.env, line 1 `)]);
  });

  test('unless the environment wins over the line, or it is another program’s', () => {
    expect(problems("MASTER_PASSWORD='a'b", { MASTER_PASSWORD: 'a good long password' })).toEqual([]);
    expect(problems(`OTHER='a'b\nOTHER2="a\\nb"\nOTHER3=a#b\n`)).toEqual([]);
  });
});

describe('a line that is not NAME=value is a problem, whoever it belongs to', () => {
  test.each([
    'hunter2',
    'MASTER_PASSWORD: hunter2',
    'MASTER PASSWORD=hunter2',
    '=hunter2',
    '1A=hunter2',
    '"A"=hunter2',
    '- A=hunter2',
    'É=hunter2',
  ])('%s', (line) => {
    expect(problems(`PORT=1\n\n${line}\n`)).toEqual(['.env: in .env, line 3 is not NAME=value. Example: PORT=8000']);
  });

  test('and so is a quote of another program that does not close', () => {
    expect(problems(`OTHER="hunter2\n`)).toEqual([`.env: in .env, line 1 ${open}. Example: PORT=8000`]);
  });
});
