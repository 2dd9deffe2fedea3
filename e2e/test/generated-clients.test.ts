// Clients that common generators make from the OpenAPI document: each compiles, signs in, lists sessions and revokes one.
// They need Java, Maven and Python, and minutes, so they are part of `pnpm test:long` only.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { amountOf } from '../../packages/server/test/support/amount.ts';
import { login } from '../../packages/server/test/support/server-process.ts';
import { openServer, type Server } from '../server.ts';

const run = promisify(execFile);
const GENERATOR = 'org.openapitools:openapi-generator-cli:7.16.0';
const programs = join(import.meta.dirname, '../generated');
const isLong = amountOf({ sample: 0, long: 1 }) === 1;

let folder: string;
let server: Server;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backchannel-generated-'));
  server = await openServer();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Skips the test where one of these programs is missing. */
async function need(context: TestContext, ...names: string[]): Promise<void> {
  for (const name of names) {
    await run(name, ['--version']).catch(() => {
      console.warn(`skipped: no ${name}`);
      context.skip(`skipped: no ${name}`);
    });
  }
}

let jar: Promise<string> | undefined;
async function generate(name: string, options: string[] = []): Promise<string> {
  jar ??= run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${GENERATOR}`, `-DoutputDirectory=${folder}`]).then(
    async () => join(folder, (await readdir(folder)).find((file) => file.endsWith('.jar')) ?? ''),
  );
  const document = join(folder, 'openapi.json');
  await writeFile(document, await (await fetch(`${server.url}/openapi.json`)).text());
  const out = join(folder, name);
  await run('java', ['-jar', await jar, 'generate', '-g', name, '-i', document, '-o', out, ...options]);
  return out;
}

/** The program's own session, and one more that it revokes. */
async function expectToWork(print: () => Promise<{ stdout: string }>): Promise<void> {
  await login(server.url);
  const before = (await login(server.url)).status;
  expect(before).toBe(200);
  const { stdout } = await print();
  expect(stdout).toMatch(/^[Tt]rue [2-9] 1\n$/);
}

describe.skipIf(!isLong)('a client by openapi-generator (only in pnpm test:long)', () => {
  test('in Java compiles, signs in, lists sessions and revokes one', async (context) => {
    await need(context, 'java', 'mvn');
    const out = await generate('java', ['--library', 'native']);
    await cp(join(programs, 'Main.java'), join(out, 'src/main/java/Main.java'));
    const goals = ['compile', 'dependency:copy-dependencies', '-DoutputDirectory=target/lib'];
    await run('mvn', ['-q', '-B', ...goals], { cwd: out, maxBuffer: 2 ** 26 });
    await expectToWork(() =>
      run('java', ['-cp', 'target/classes:target/lib/*', 'Main', server.url, 'admin123'], { cwd: out }),
    );
  });

  test('in Python signs in, lists sessions and revokes one', async (context) => {
    await need(context, 'java', 'mvn', 'python3');
    const out = await generate('python');
    const venv = join(folder, 'venv');
    await run('python3', ['-m', 'venv', venv]);
    await run(join(venv, 'bin/pip'), ['install', '--quiet', '-r', join(out, 'requirements.txt')]);
    const env = { ...process.env, PYTHONPATH: out };
    const program = join(programs, 'main.py');
    await expectToWork(() => run(join(venv, 'bin/python'), [program, server.url, 'admin123'], { env }));
  });

  test('in TypeScript compiles, signs in, lists sessions and revokes one', async (context) => {
    await need(context, 'java', 'mvn');
    const out = await generate('typescript-fetch', ['--additional-properties=importFileExtension=.js']);
    await writeFile(join(out, 'main.ts'), inTypeScript);
    const options = {
      target: 'esnext',
      module: 'nodenext',
      lib: ['esnext', 'dom', 'dom.iterable'],
      types: [],
      strict: true,
      outDir: 'dist',
    };
    await writeFile(
      join(out, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, include: ['main.ts', 'node.d.ts'] }),
    );
    await writeFile(join(out, 'node.d.ts'), 'declare const process: { argv: string[] };\n');
    await writeFile(join(out, 'package.json'), '{ "type": "module" }\n');
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
    await run(process.execPath, [tsc, '--project', out]);
    await expectToWork(() => run(process.execPath, [join(out, 'dist/main.js'), server.url, 'admin123']));
  });
});

const inTypeScript = `import { AuthApi, Configuration } from './index.js';

const [url = '', password = ''] = process.argv.slice(2);
let cookie = '';
const fetchApi: typeof fetch = async (input, init) => {
  const response = await fetch(input, { ...init, headers: { ...init?.headers, ...(cookie && { cookie }) } });
  const lines = response.headers.getSetCookie();
  if (lines.length > 0) cookie = lines.map((line) => line.split(';')[0]).join('; ');
  return response;
};
const auth = new AuthApi(new Configuration({ basePath: url + '/api/v1', fetchApi }));
const { authenticated } = await auth.authLogin({ authLoginRequest: { password } });
const own = (await auth.authMe()).session?.id;
const { sessions } = await auth.authSessionsList();
const other = sessions.find(({ id }) => id !== own)?.id ?? '';
const { revoked } = await auth.authSessionsRevoke({ id: other });
console.log(authenticated, sessions.length, revoked);
`;
