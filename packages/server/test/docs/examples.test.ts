// What people copy: the commands of the README as they run them, and what it and its companions say beside the code.
// Runs on one engine: the commands talk to the API, whose tests run on both.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, type TestContext, test } from 'vitest';
import { loadConfig, settings } from '../../src/config/config.ts';
import { startBlock } from '../../src/process/start-block.ts';
import { openSession, startOwnServer } from '../support/callers.ts';
import { operations, PASSWORD, startServer } from '../support/harness.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'docs/security.md',
  'docs/operations.md',
  'docs/rest.md',
  'docs/cli.md',
  ...['nginx', 'caddy', 'traefik', 'compose', 'systemd'].map((name) => `docs/deploy-${name}.md`),
];

/** The code of a text's blocks of one language. */
const blocksIn = (text: string, language: string) =>
  [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].flatMap(([, name, code = '']) => (name === language ? [code] : []));
const sectionOf = (text: string, title: string) =>
  text.split(/^(?=## )/m).find((each) => each.startsWith(`## ${title}\n`)) ?? '';

/** The commands of shell code, each with the lines that a backslash joins to it. */
const commandsIn = (code: string) => code.match(/^(?!#|$).*(?:(?<=\\)\n.*)*/gm) ?? [];

/** The rows of the README's tables that begin with `code`, cell by cell. */
const rows = [...readme.matchAll(/^\| (`.*) \|$/gm)].map(([, row = '']) => row.split(' | '));

let hasCurl: Promise<boolean> | undefined;

/** Runs something that needs bash and curl, and skips the calling test where they are missing. */
async function runInBash(
  test: TestContext,
  args: string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
) {
  const { PATH = '' } = process.env;
  hasCurl ??= run('bash', ['-c', 'command -v curl'], { env: { PATH } }).then(
    () => true,
    () => false,
  );
  if (!(await hasCurl)) {
    const missing = 'skipped: no bash with curl here';
    console.warn(missing);
    return test.skip(missing);
  }
  return run('bash', args, { ...options, env: { PATH, ...options.env } });
}

const runExample = (test: TestContext, env: Record<string, string>) =>
  runInBash(test, [join(root, 'examples/curl.sh')], { env });

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

describe('the commands of the README', () => {
  const [tour = '', ...more] = blocksIn(sectionOf(readme, 'Try it with curl'), 'sh');
  const daily = blocksIn(sectionOf(readme, 'Day to day'), 'sh').join('\n');

  test('for a first try are those of examples/curl.sh, to the letter, words about them included', () => {
    expect(commandsIn(tour)).toHaveLength(5);
    expect(more).toEqual([]);
    const example = read('examples/curl.sh');
    expect(`${example.slice(example.indexOf('\n# Sign in.') + 1).trimEnd()}\n`).toBe(tour);
  });

  test('for every day do what they say, one after the other, in the session that the first ones open', async (context) => {
    await using server = await startOwnServer();
    const cwd = mkdtempSync(join(tmpdir(), 'backchannel-readme-'));
    const other = await openSession(server);
    let [id, secret] = ['', ''];
    const expected = [
      { session: other.id },
      { revoked: 1 },
      { revoked: 0 },
      { message: 'Stepped up.' },
      { token: { name: 'backup script', scope: 'read' } },
      { activeTokens: 1 },
      { revoked: 1 },
      { message: 'The password is changed.', sessionsEnded: 0, tokensRevoked: 0 },
      { events: [{ type: 'login.failed' }] },
    ];
    const answers: object[] = [];
    await server.client().rest('POST', '/auth/login', { password: 'not this one' });
    const [signIn = ''] = commandsIn(tour);
    for (const command of [signIn, ...commandsIn(daily).filter((each) => each.startsWith('curl '))]) {
      const line = command
        .replaceAll('http://localhost:8000', server.url)
        .replace(/\/ID"/, `/${id}"`)
        .replace('bct_…', secret)
        .replace(/^curl/, 'curl --silent --show-error --fail');
      const result = await runInBash(context, ['-c', line], { cwd });
      const answer = JSON.parse(result.stdout);
      if (answer.sessions) id = other.id;
      if (answer.secret) [id, secret] = [answer.token.id, answer.secret];
      answers.push(
        answer.sessions ? { session: answer.sessions.find((each: { id: string }) => each.id === id)?.id } : answer,
      );
    }
    rmSync(cwd, { recursive: true });
    expect(answers.slice(1)).toMatchObject(expected);
  });

  test('are all run by these two: none is elsewhere, indented, or behind another word', () => {
    const all = blocksIn(readme, 'sh').join('\n');
    const lines = all.split('\n').filter((line) => /\bcurl\b/.test(line) && !line.startsWith('#'));
    const known = commandsIn(`${tour}\n${daily}`).filter((each) => each.startsWith('curl '));
    expect(lines).toEqual(known.map((command) => command.split('\n')[0]));
  });
});

describe('the command line', () => {
  /** What it says of a command. @throws where there is no such command. */
  const help = async (words: string[]) => {
    const { makeHome } = await import('../../../cli/test/run.ts');
    using home = makeHome();
    const { stdout, stderr, exitCode } = await home.run(['help', ...words]);
    if (exitCode !== 0) throw new Error(stderr);
    return stdout;
  };
  const about = (code: string) => (code.match(/^(?:[a-z][a-z-]*(?: |$))+/)?.[0] ?? '').trim();

  test('of the README has every command, and each with options that it takes', async () => {
    const listed = async (words: string[]): Promise<string[]> => {
      const [, list = ''] = /^Commands:\n((?: {2}.*\n)+)/m.exec(await help(words)) ?? [];
      const names = [...list.matchAll(/^ {2}([a-z-]+) /gm)]
        .map(([, name = '']) => name)
        .filter((name) => name !== 'help');
      if (names.length === 0) return [words.join(' ')];
      return (await Promise.all(names.map((name) => listed([...words, name])))).flat();
    };
    const table = [...sectionOf(readme, 'Command line').matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)];
    expect(table.map(([, command = '']) => about(command)).sort()).toEqual((await listed([])).sort());
    for (const [, command = '', words = ''] of table) {
      const text = await help(about(command).split(' '));
      for (const [option] of words.matchAll(/--[a-z0-9-]+/g)) expect(text, command).toContain(`${option} `);
      expect(text, command).toContain(command.replace(/^[a-z -]+/, ''));
    }
  });

  test.each(pages)('is called in %s as it can be', async (file) => {
    const calls = codeIn(read(file)).flatMap((line) => {
      const [, call] = /(?:^|\.\/|run --rm |exec -it backchannel )backchannel (?:help )?([a-z][^)]*)/.exec(line) ?? [];
      return call === undefined ? [] : [call];
    });
    if (!/^(?:ARCHITECTURE|CONTRIBUTING|docs\/deploy-.*)\.md$/.test(file)) expect(calls.length).toBeGreaterThan(5);
    await Promise.all(
      [...new Set(calls)].map(async (call) => {
        const text = about(call) === 'help' ? '' : await help(about(call).split(' '));
        for (const [option] of call.matchAll(/--[a-z0-9-]+/g)) expect(text, call).toContain(`${option} `);
      }),
    );
  });

  test.each(pages)('and pnpm are told in %s to run scripts that there are', (file) => {
    const { scripts } = JSON.parse(read('package.json'));
    const told = codeIn(read(file)).flatMap((line) =>
      [...line.matchAll(/npx -y pnpm@12 ([\w-]+)/g)].map(([, name]) => name),
    );
    const known = [...Object.keys(scripts), 'install', '--filter'];
    expect(told.filter((name = '') => !known.includes(name))).toEqual([]);
  });
});

test('the README shows what a first start prints', () => {
  const root = '/home/you/backchannel';
  const config = loadConfig({ env: { DATA_DIR: `${root}/data` }, root });
  const url = 'http://localhost:8000';
  const printed = startBlock({ config, root, url, password: { origin: () => 'built-in', generated: null } }).split(
    '\n',
  );
  const [shown = ''] = blocksIn(sectionOf(readme, 'Run it'), '');
  const lines = shown.trimEnd().split('\n');
  const labelsOf = (block: string[]) =>
    block.map((line) => line.slice(0, 11)).filter((label) => !/WARNING/.test(label));
  expect(labelsOf(lines)).toEqual(labelsOf(printed));
  for (const line of lines.filter((each) => !each.startsWith('  Service'))) expect(printed).toContain(line);
});

test('the README has every setting with its default, in their order', () => {
  const names = new Set<string>(settings.map(({ name }) => `\`${name}\``));
  const told = rows.filter(([name = '']) => names.has(name)).map(([name, value]) => [name, value]);
  expect(told).toEqual(settings.map((each) => [`\`${each.name}\``, each.default ? `\`${each.default}\`` : '–']));
});

test('the README has every operation with its procedure, and who may call it', () => {
  const told = rows
    .filter(([rest = '']) => /^`[A-Z]+ \//.test(rest))
    .map(([rest = '', name, who]) => `${rest.replace(/\{\w+\}/g, 'a'.repeat(24))} ${name} ${who}`);
  const there = operations.map(({ method, path, name, access, type }) => {
    const who = access === 'operator' ? (type === 'query' ? 'read' : 'full') : access;
    return `\`${method} ${path}\` \`${name}\` ${who}`;
  });
  expect(told.sort()).toEqual(there.sort());
});

test.each(pages)('every file and heading that %s names is there', (file) => {
  const text = read(file);
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
  for (const [link, target, anchor] of links) {
    const page = target ? join(dirname(file), target) : file;
    expect(existsSync(join(root, page)), link).toBe(true);
    if (anchor !== undefined) expect(headings(read(page)), link).toContain(anchor);
  }
  const isFile = /^[\w.@-]+(?:\/[\w.@-]+)*(?:\.(?:ts|mjs|json|yaml|sh|md)|\/|\/run)$/;
  const named = [...text.matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name).filter((name) => isFile.test(name));
  const folders = ['', 'packages/server/src', 'packages/server/src/config', 'packages/server/test'];
  const lost = named.filter((name) => !folders.some((folder) => existsSync(join(root, folder, name))));
  expect(lost).toEqual([]);
});

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

/** All code of a page: the commands in its blocks, and what stands between backticks. */
function codeIn(text: string): string[] {
  const prose = text.replace(/^```.*?^```$/gms, '').replace(/\n */g, ' ');
  const inline = [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
  return [...inline, ...commandsIn(blocksIn(text, 'sh').join('\n'))].map((code) => code.replace(/\s*(?:#.*)?$/, ''));
}
