// What npm gets: packed, installed by npm where nothing of this repository is, linted, type-checked and run, on the
// oldest Node that each package claims too.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { follow } from '../../packages/server/test/support/server-process.ts';
import {
  openPartOf,
  openProject,
  type PackageName,
  type Project,
  packageNames,
  resolveTool,
  run,
  runWell,
} from '../installed.ts';
import { isForBrowser, programsOf } from '../programs.ts';
import { openServer } from '../server.ts';
import { resolutions, typecheck, typeTest } from '../typecheck.ts';

/** What a page's own script has to load to call the API, minified and compressed. */
const BROWSER_BUDGET_BYTES = 10_500;

let project: Project;
beforeAll(async () => {
  project = await openProject();
}, 300_000);
afterAll(() => project?.[Symbol.asyncDispose]());

const bin = (name: 'backchannel' | 'backchannel-server') => join(project.folder, 'node_modules/.bin', name);
const manifestOf = (name: PackageName) =>
  JSON.parse(readFileSync(join(project.packageDir(name), 'package.json'), 'utf8'));

/** A Node as old as a package claims, or a skipped test that says why there is none. */
async function oldNode(test: TestContext, name: 'node-18' | 'node-24'): Promise<string> {
  const path = join(import.meta.dirname, '../node_modules', name, 'bin/node');
  const found = await runWell(path, ['--version'], { cwd: project.folder }).catch(String);
  if (typeof found !== 'string') return path;
  const note = `skipped: no ${name} for ${process.platform}-${process.arch} (${found})`;
  console.warn(note);
  return test.skip(note);
}

/** An empty working folder of one's own. */
async function openFolder(files: Record<string, string> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'backchannel-cwd-'));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

describe.each(packageNames)('@backchannel/%s', (name) => {
  test('publint finds nothing', async () => {
    // A whole buffer of its own: a small file is read into a part of a shared one.
    const { buffer: tarball } = Uint8Array.from(readFileSync(project.tarballs[name]));
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
    expect(pkg.name).toBe(`@backchannel/${name}`);
    expect(messages).toEqual([]);
  });

  test('the types are not wrong', async () => {
    const attw = join(resolveTool('@arethetypeswrong/cli/package.json'), '../dist/index.js');
    const done = await run(
      process.execPath,
      // ESM only: what CommonJS and the resolution of old would find is not asked.
      [attw, project.tarballs[name], '--profile', 'esm-only', '--format', 'json'],
      { cwd: project.folder },
    );
    const { analysis } = JSON.parse(done.stdout);
    if (name === 'cli') return expect(analysis.types).toBe(false);
    expect(done.exitCode).toBe(0);
    expect(Object.keys(analysis.entrypoints)).toContain('.');
    const others = /^node(10|16-cjs)$/;
    expect(
      analysis.problems.filter((each: { resolutionKind?: string }) => !others.test(each.resolutionKind ?? '')),
    ).toEqual([]);
  });

  test('its manifest is whole, and asks for released versions only', () => {
    const manifest = manifestOf(name);
    expect(manifest).toMatchObject({
      name: `@backchannel/${name}`,
      // One for all: the command line asks for the server and the client of its own version.
      version: manifestOf('server').version,
      description: expect.any(String),
      license: 'MIT',
      type: 'module',
      engines: { node: name === 'client-sdk' ? '^18.17.0 || >=19.9.0' : '>=24' },
    });
    expect(manifest).not.toHaveProperty('scripts');
    expect(manifest).not.toHaveProperty('devDependencies');
    for (const version of Object.values(manifest.dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(JSON.stringify(manifest)).not.toMatch(/workspace:|catalog:|\/src\/|\.ts"(?<!\.d\.ts")/);
  });

  test('it has its code, a README, the license, and nothing else', async () => {
    const folder = project.packageDir(name);
    expect((await readdir(folder)).filter((entry) => entry !== 'node_modules').sort()).toEqual([
      'LICENSE',
      'README.md',
      'dist',
      'package.json',
    ]);
    const files = readdirSync(join(folder, 'dist'), { recursive: true, withFileTypes: true });
    const kinds = files.filter((file) => file.isFile()).map((file) => file.name.replace(/^.*?((?:\.d)?\.\w+)$/, '$1'));
    const extra = { server: ['.example', '.txt'], cli: [], 'client-sdk': [] };
    const expected = ['.js', ...(name === 'cli' ? [] : ['.d.ts']), ...extra[name]];
    expect([...new Set(kinds)].sort()).toEqual(expected.sort());
    expect(readFileSync(join(folder, 'LICENSE'), 'utf8')).toContain('MIT License');
  });
});

const pages = ['README.md', 'docs/sdk.md', 'packages/client-sdk/README.md', 'packages/server/README.md'];
const fileOf = (page: string, index: number) => `${page.replaceAll(/\W+/g, '-')}-${index}.ts`;

describe('the programs in the documentation', () => {
  /** For this server, as one would change them. */
  async function writePrograms(page: string, url: string): Promise<{ file: string; code: string }[]> {
    const programs = programsOf(page).map((code, index) => ({ file: fileOf(page, index), code }));
    for (const { file, code } of programs) {
      // A block of its own is a module of its own, also where it imports nothing.
      await project.write(file, `${code.replaceAll('http://localhost:8000', url)}export {};\n`);
    }
    return programs;
  }

  const openInstalled = (folder: string) =>
    openServer({ BCRYPT_COST: '10', DATA_DIR: 'data' }, { main: bin('backchannel-server'), cwd: folder });

  test.each([
    ['nodenext', 'TypeScript 7'],
    ['bundler', 'TypeScript 7'],
    ['nodenext', 'TypeScript 5.7'],
  ] as const)('compile with skipLibCheck off: %s, %s', async (resolution, compiler) => {
    const written = await Promise.all(pages.map((page) => writePrograms(page, 'http://localhost:8000')));
    await project.write('types.ts', typeTest);
    const files = ['types.ts', ...written.flat().map(({ file }) => file)];
    expect(files.length).toBeGreaterThan(15);
    await typecheck(project, files, { compiler, compilerOptions: { ...resolutions[resolution], skipLibCheck: false } });
  });

  const said: Record<string, (string | RegExp)[]> = {
    'README.md': [/^MASTER_PASSWORD_HASH='\$2b\$12\$\S{53}'\n$/, /^Signed in until 20\S+Z\.\n$/],
    'docs/sdk.md': [
      /^Signed in until 20\S+Z\.\n(.+\n)*.+ at 127\.0\.0\.1, this one\n(.+\n)*Ended \d+ others\.\n$/,
      'Somebody has signed in before.\n',
      'Still signed in.\n',
      /^\d+ sessions are open\.\n$/,
      'backup is a token.\n',
      /^password: .+72.+\n$/,
      'Signed out.\n',
      'Signed out.\nABORTED\n',
      /^GET http:\S+\/trpc\/auth\.status → 200\n$/,
      '2\n',
      "MASTER_PASSWORD_HASH='$2b$12$\ntrue\n",
    ],
    'packages/client-sdk/README.md': [
      /^Signed in until 20\S+Z\.\n$/,
      'Still signed in.\n',
      /^\d+ sessions are open\.\n$/,
      'That is not the password.\n',
      'Signed out.\n',
      /^GET http:\S+\/trpc\/auth\.status → 200\nSigned out\.\n$/,
      'describe\n',
    ],
    'packages/server/README.md': ["MASTER_PASSWORD_HASH='$2b$12$\ntrue\n"],
  };

  test('say what they should', async () => {
    await using place = await openFolder();
    await using server = await openInstalled(place.folder);
    const create = [bin('backchannel'), 'tokens', 'create', '--name', 'x', '--scope', 'read'];
    const token = await runWell(process.execPath, create, { cwd: place.folder });
    for (const page of pages) {
      const outputs: string[] = [];
      for (const { file, code } of await writePrograms(page, server.url)) {
        if (isForBrowser(code)) continue;
        const env = { BACKCHANNEL_TOKEN: token.stdout.trim() };
        outputs.push((await runWell(process.execPath, [file], { cwd: project.folder, env })).stdout);
      }
      const expected = said[page] ?? [];
      expect(outputs).toEqual(expected.map((each) => (typeof each === 'string' ? each : expect.stringMatching(each))));
    }
  });

  test('of the client run on the oldest Node that it claims', async (context) => {
    const node = await oldNode(context, 'node-18');
    const { stdout: version } = await runWell(node, ['--version'], { cwd: project.folder });
    expect(manifestOf('client-sdk').engines.node).toContain(`^${version.trim().slice(1)} ||`);
    await using place = await openFolder();
    await using server = await openInstalled(place.folder);
    const page = 'packages/client-sdk/README.md';
    const programs = (await writePrograms(page, server.url)).filter(({ code }) => !code.includes('BACKCHANNEL_TOKEN'));
    const compilerOptions = { module: 'nodenext', noEmit: false, outDir: 'out' };
    await typecheck(
      project,
      programs.map(({ file }) => file),
      { compiler: 'TypeScript 7', compilerOptions },
    );
    const outputs: string[] = [];
    for (const { file } of programs) {
      outputs.push((await runWell(node, [join('out', file.replace(/ts$/, 'js'))], { cwd: project.folder })).stdout);
    }
    expect(outputs).toContain('That is not the password.\n');
    expect(outputs).toContain('Still signed in.\n');
    expect(outputs).toHaveLength(programs.length);
  });
});

describe('the client', () => {
  test('depends on tRPC and on nothing of the server', () => {
    expect(Object.keys(manifestOf('client-sdk').dependencies)).toEqual(['@trpc/client', '@trpc/server']);
    const dist = join(project.packageDir('client-sdk'), 'dist');
    for (const name of readdirSync(dist)) {
      const text = readFileSync(join(dist, name), 'utf8');
      expect(text).not.toContain('@backchannel/server');
      if (name.endsWith('.d.ts')) expect(text).not.toMatch(/\bany\b(?=[;,>\]|)])/);
    }
  });

  test('costs a page no more than its budget', async () => {
    const { outputFiles } = await build({
      stdin: { contents: programsOf('docs/sdk.md').find(isForBrowser) ?? '', resolveDir: project.folder, loader: 'ts' },
      bundle: true,
      minify: true,
      write: false,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
    });
    const [bundle] = outputFiles;
    expect(bundle?.text).toContain('UNEXPECTED_ANSWER');
    expect(gzipSync(bundle?.contents ?? '', { level: 9 }).byteLength).toBeLessThan(BROWSER_BUDGET_BYTES);
  });
});

describe('the server', () => {
  test.for(['the Node of today', 'the oldest Node that it claims'])(
    'runs where it was installed, with .env and data in the working folder: %s',
    async (which, context) => {
      const node = which === 'the Node of today' ? process.execPath : await oldNode(context, 'node-24');
      await using place = await openFolder({ '.env': 'COOKIE_NAME=from_env_file\nBCRYPT_COST=10\n' });
      const { folder: cwd } = place;
      await using server = await openServer({ DATA_DIR: 'mine' }, { main: bin('backchannel-server'), cwd, node });
      expect((await readdir(join(cwd, 'mine'))).sort()).toEqual(
        expect.arrayContaining(['backchannel.db', 'secret.key']),
      );
      expect(server.output()).toContain(`${join(project.packageDir('server'), 'dist/main.js')}`);
      expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ status: 'ok', missing: [] });
      const login = await fetch(`${server.url}/api/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ password: 'admin123' }),
      });
      expect(login.headers.getSetCookie().join()).toContain('from_env_file=');
      for (const path of ['/docs', '/redoc', '/openapi.json', '/redoc/redoc.standalone.js']) {
        expect({ path, status: (await fetch(`${server.url}${path}`)).status }).toEqual({ path, status: 200 });
      }
      const cli = (args: string[]) => run(node, [bin('backchannel'), ...args], { cwd, env: { DATA_DIR: 'mine' } });
      const sessions = await cli(['sessions', 'list', '--json']);
      expect(JSON.parse(sessions.stdout).sessions).toHaveLength(1);
      expect(await cli(['check-config'])).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining('all migrations are applied'),
      });
      expect(await cli(['backup', 'copy.db'])).toMatchObject({ exitCode: 0 });
      expect(await cli(['call', 'auth.status', '--url', server.url])).toMatchObject({
        exitCode: 0,
        stdout: expect.stringContaining('"authenticated"'),
      });
      expect(await server.stop()).toBe(0);
    },
  );

  test('ends when the npx that started it is killed', async () => {
    await using place = await openFolder();
    const { PATH = '', HOME = '' } = process.env;
    const env = { HOME, PATH: `${dirname(process.execPath)}${delimiter}${PATH}`, PORT: '0', DATA_DIR: place.folder };
    // A process group of its own, so that nothing of it can outlive the test.
    const npx = spawn('npx', ['-y', 'backchannel-server'], { cwd: project.folder, env, detached: true });
    await using server = follow(npx);
    try {
      const url = await server.url();
      npx.kill('SIGTERM');
      const isUp = () =>
        fetch(`${url}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        );
      await expect.poll(isUp).toBe(false);
    } finally {
      if (npx.pid) endGroup(npx.pid);
    }
  });

  test('--help names the settings and a file that says what they mean', async () => {
    const { stdout } = await runWell(process.execPath, [bin('backchannel-server'), '--help'], { cwd: project.folder });
    expect(stdout).toMatch(/^ {2}DATA_DIR +data$/m);
    const [, path = ''] = /(\S+env\.example)$/m.exec(stdout) ?? [];
    expect(readFileSync(path, 'utf8')).toContain('#DATA_DIR=');
  });

  test('ReDoc comes as the one file that is served, with its licenses', () => {
    const folder = join(project.packageDir('server'), 'dist/redoc');
    expect(readdirSync(folder).sort()).toEqual([
      'redoc.LICENSE.txt',
      'redoc.standalone.js',
      'redoc.standalone.js.LICENSE.txt',
    ]);
    expect(readFileSync(join(folder, 'redoc.LICENSE.txt'), 'utf8')).toContain('Permission is hereby granted');
    expect(readdirSync(join(project.folder, 'node_modules'))).not.toContain('redoc');
  });

  test('everything that it exports can be imported, and has types', async () => {
    const names = Object.keys(manifestOf('server').exports).filter((name) => name !== './package.json');
    const checks = readdirSync(join(project.packageDir('server'), 'dist/checks'))
      .filter((file) => file.endsWith('.js'))
      .map((file) => `./checks/${file.slice(0, -3)}`);
    const paths = [...names.filter((name) => !name.includes('*')), ...checks].map((name) => name.slice(1));
    expect(paths.length).toBeGreaterThan(20);
    const lines = paths.map((path, index) => `export * as m${index} from '@backchannel/server${path}';`);
    await project.write('exports.ts', lines.join('\n'));
    // Of MikroORM's own types some don't hold under these settings.
    const compilerOptions = { ...resolutions.nodenext, skipLibCheck: true };
    await typecheck(project, ['exports.ts'], { compiler: 'TypeScript 7', compilerOptions });
    await runWell(process.execPath, ['exports.ts'], { cwd: project.folder });
  });
});

describe('the command line', () => {
  test('hash runs where there is no database to load', async () => {
    await using part = await openPartOf(project, [
      '@backchannel/cli',
      '@backchannel/server',
      '@zxcvbn-ts/dictionary-compression',
      '@zxcvbn-ts/language-common',
      'fastest-levenshtein',
      ...readdirSync(join(project.folder, 'node_modules/@node-rs')).map((name) => `@node-rs/${name}`),
    ]);
    const main = join(part.folder, 'node_modules/@backchannel/cli/dist/main.js');
    const hash = await runWell(process.execPath, [main, 'hash', '--cost', '10', 'admin123'], { cwd: part.folder });
    expect(hash.stdout).toMatch(/^\$2b\$10\$\S{53}\n$/);
    const sessions = await run(process.execPath, [main, 'sessions', 'list'], { cwd: part.folder });
    expect(sessions).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('ERR_MODULE_NOT_FOUND') });
  });

  test('calls a server over the network, and completes the names of what it can call', async () => {
    await using server = await openServer();
    const env = { BACKCHANNEL_URL: server.url };
    const called = await run(process.execPath, [bin('backchannel'), 'call', 'auth.status'], {
      cwd: project.folder,
      env,
    });
    expect(called).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(called.stdout)).toEqual({ authenticated: false, expiresAt: null });
    const script = await runWell(process.execPath, [bin('backchannel'), 'completion', 'bash'], { cwd: project.folder });
    expect(script.stdout).toMatch(/'call'\) candidates='auth\.login .*client\.protected'/);
  });

  test('its README tells of every command', async () => {
    const { stdout } = await runWell(process.execPath, [bin('backchannel'), 'help'], { cwd: project.folder });
    const names = [...stdout.matchAll(/^ {2}([\w-]+) {2,}/gm)].map(([, name]) => `\`${name}\``);
    expect(names.length).toBeGreaterThan(10);
    const readme = readFileSync(join(project.packageDir('cli'), 'README.md'), 'utf8');
    expect(names.filter((name) => name !== '`help`' && !readme.includes(name))).toEqual([]);
  });

  test('says its version', async () => {
    const { stdout } = await runWell(process.execPath, [bin('backchannel'), '--version'], { cwd: project.folder });
    expect(stdout).toBe(`${manifestOf('cli').version}\n`);
  });
});

test('a Node that is too old is told in a sentence, by both programs', async (context) => {
  const node = await oldNode(context, 'node-18');
  for (const name of ['backchannel', 'backchannel-server'] as const) {
    expect(await run(node, [bin(name), '--version'], { cwd: project.folder })).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'BackChannel needs Node.js 24 or newer, and this is 18.17.0.\n',
    });
  }
});
