// What people copy: the curl example as they run it, and what the README and its companions say beside the code.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, type TestContext, test } from 'vitest';
import { settings } from '../src/config.ts';
import { operations, PASSWORD, startServer } from './harness.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');

/** The curl commands of a text, each with the lines that a backslash joins to it. */
const curlCommands = (text: string) => text.match(/^curl (?!\(\)).*(?:(?<=\\)\n.*)*/gm) ?? [];

/** The rows of the README's tables that begin with `code`, cell by cell. */
const rows = [...readme.matchAll(/^\| (`.*) \|$/gm)].map(([, row = '']) => row.split(' | '));

/** Runs examples/curl.sh, and skips the calling test where there is nothing to run it with. */
async function runExample(test: TestContext, env: Record<string, string>) {
  const { PATH = '' } = process.env;
  const missing = await run('bash', ['-c', 'command -v curl'], { env: { PATH } }).then(
    () => null,
    () => 'skipped: no bash with curl here',
  );
  if (missing !== null) {
    console.warn(missing);
    return test.skip(missing);
  }
  return run('bash', [join(root, 'examples/curl.sh')], { env: { PATH, ...env } });
}

test('examples/curl.sh signs in, looks around, hashes a password and signs out', async (context) => {
  await using server = await startServer();
  const { stdout } = await runExample(context, { URL: server.url, PASSWORD });
  const [login, profile, status, hashed, logout, ...more] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(login).toMatchObject({ message: 'Signed in.', authenticated: true });
  expect(profile).toMatchObject({ principal: 'operator', method: 'session', session: { current: true } });
  expect(status).toMatchObject({ authenticated: true, expiresAt: profile.until });
  expect(hashed.env).toBe(`MASTER_PASSWORD_HASH='${hashed.hash}'`);
  expect(logout).toEqual({ message: 'Signed out.', authenticated: false });
  expect(more).toEqual([]);
});

test('it takes a password whatever is in it, and ends at the first call that fails', async (context) => {
  const password = 'a"b\\c&d $e';
  await using server = await startServer({ password: { from: 'MASTER_PASSWORD', plain: password } });
  const { stdout } = await runExample(context, { URL: server.url, PASSWORD: password });
  expect(stdout.trimEnd().split('\n')).toHaveLength(5);
  await expect(runExample(context, { URL: server.url, PASSWORD: 'not this one' })).rejects.toMatchObject({
    code: 22,
    stdout: '\n',
    stderr: expect.stringContaining('401'),
  });
});

test('the curl commands of the README are those of examples/curl.sh, to the letter', () => {
  const commands = curlCommands(readme);
  expect(commands).toHaveLength(5);
  expect(commands).toEqual(curlCommands(read('examples/curl.sh')));
});

test('the README has every setting with its default, in their order', () => {
  const names = new Set<string>(settings.map(({ name }) => `\`${name}\``));
  const told = rows.filter(([name = '']) => names.has(name)).map(([name, value]) => [name, value]);
  expect(told).toEqual(settings.map((each) => [`\`${each.name}\``, each.default ? `\`${each.default}\`` : '–']));
});

test('the README has every operation with its procedure, and says which are for anyone', () => {
  const told = rows
    .filter(([rest = '']) => /^`[A-Z]+ \//.test(rest))
    .map(([rest = '', name, who]) => `${rest.replace(/\{\w+\}/g, 'a'.repeat(24))} ${name} ${who === 'anyone'}`);
  const there = operations.map(
    ({ method, path, name, access }) => `\`${method} ${path}\` \`${name}\` ${access === 'anyone'}`,
  );
  expect(told.sort()).toEqual(there.sort());
});

test.each(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])(
  'every file and heading that %s names is there',
  (file) => {
    const text = read(file);
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
    for (const [link, target, anchor] of links) {
      const page = target || file;
      expect(existsSync(join(root, page)), link).toBe(true);
      if (anchor !== undefined) expect(headings(read(page)), link).toContain(anchor);
    }
    const isFile = /^[\w.@-]+(?:\/[\w.@-]+)*(?:\.(?:ts|mjs|json|yaml|sh|md)|\/|\/run)$/;
    const named = [...text.matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name).filter((name) => isFile.test(name));
    const source = 'packages/server/src';
    const folders = ['', source, `${source}/config`];
    const lost = named.filter((name) => !folders.some((folder) => existsSync(join(root, folder, name))));
    expect(lost).toEqual([]);
  },
);

/** A page's headings as the names that links to them use. */
function headings(text: string): string[] {
  const titles = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title);
  return titles.map((title) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
}
