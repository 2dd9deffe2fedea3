// The OpenAPI document as strangers' tools take it: a linter that knows the format, and a client made from it alone.
import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import spectral, { type RulesetDefinition } from '@stoplight/spectral-core';
import rulesets from '@stoplight/spectral-rulesets';
import openapiTS, { astToString } from 'openapi-typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, login } from '../../packages/server/test/support/server-process.ts';
import { openServer, type Server } from '../server.ts';

const run = promisify(execFile);
const here = join(import.meta.dirname, '..');
const page = readFileSync(join(here, '../docs/rest.md'), 'utf8');
const programs = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
const program = programs.find((code) => code.includes("'openapi-fetch'")) ?? '';

type Document = Record<string, unknown> & { info: { description: string }; paths: Record<string, object> };

async function readDocument(url: string): Promise<Document> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as Document;
}

/** What Spectral's rules for OpenAPI find, every one of them, those that are off by themselves too. */
async function lint(document: Record<string, unknown>): Promise<string[]> {
  const linter = new spectral.Spectral();
  linter.setRuleset({
    // The two packages' types do not fit each other; the values do.
    extends: [[rulesets.oas as unknown as RulesetDefinition, 'all']],
    // It asks for an e-mail address, and whoever can read this page need not know the operator's.
    rules: { 'contact-properties': 'off' },
  });
  const findings = await linter.run(document);
  return findings.map(({ code, path, message }) => `${code} at ${path.join('.')}: ${message}`);
}

let server: Server;
beforeAll(async () => {
  server = await openServer();
});
afterAll(() => server?.[Symbol.asyncDispose]());

test('Spectral finds nothing in the document', async () => {
  const document = await readDocument(server.url);
  expect(Object.keys(document.paths).length).toBeGreaterThan(10);
  expect(await lint(document)).toEqual([]);
});

test('Spectral looks: it finds an operation without a name, and an example that does not fit', async () => {
  const text = JSON.stringify(await readDocument(server.url))
    .replace('"operationId":"authMe",', '')
    .replace(/(?<="example":\{"authenticated":true,[^}]*)"current":true/, '"current":"yes"');
  const findings = (await lint(JSON.parse(text))).map((finding) => finding.split(':')[0]);
  expect(findings.sort()).toEqual([
    expect.stringMatching(/^oas3-valid-media-example at paths\..*\.example\.session\.current$/),
    'operation-operationId at paths./auth/me.get',
  ]);
});

describe('a client made from the document, as docs/rest.md has it', () => {
  test('signs in, reads, and ends another session', async () => {
    using project = await makeProject(server.url, { 'client.ts': program });
    const other = await signIn(server.url);
    expect(await statusOf(server.url, other)).toBe(200);

    await project.compile();
    const { stdout } = await run(process.execPath, [join(project.folder, 'dist/client.js')], {
      env: { URL: server.url, PASSWORD },
    });
    const [signedIn, ended, ...more] = stdout.trimEnd().split('\n');
    expect(signedIn).toMatch(/^Signed in until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\.$/);
    expect(ended).toMatch(/^Ended [0-9a-f]{24} on \S+\.$/);
    expect(more).toEqual([]);
    expect(await statusOf(server.url, other)).toBe(401);
  });

  test('does not compile where it says what the document does not', async () => {
    using project = await makeProject(server.url, { 'mistakes.ts': mistakes });
    const problem = await project.compile().catch(({ stdout }) => stdout);
    const found = [...String(problem).matchAll(/^mistakes\.ts\((\d+),\d+\): error/gm)].map(([, line]) => Number(line));
    const meant = mistakes.split('\n').flatMap((line, index) => (line.includes('// wrong') ? [index + 1] : []));
    expect(meant).toHaveLength(7);
    expect([...new Set(found)], String(problem)).toEqual(meant);
  });
});

const mistakes = `import createClient from 'openapi-fetch';
import type { paths } from './backchannel.d.ts';

const api = createClient<paths>({ baseUrl: '' });
await api.GET('/auth/nothing'); // wrong
await api.POST('/auth/login', { body: { passwort: '' } }); // wrong
await api.POST('/auth/login'); // wrong
await api.DELETE('/auth/sessions/{id}', {}); // wrong
await api.GET('/auth/events', { params: { query: { limit: '5' } } }); // wrong
const { data, error } = await api.GET('/auth/me', {});
if (data) data.user; // wrong
if (error) error.code === 'OOPS'; // wrong
await api.GET('/auth/events', { params: { query: { limit: 5, type: 'login.failed' } } });
`;

const PASSWORD = 'admin123';

async function signIn(url: string): Promise<string> {
  const { status, cookie } = await login(url);
  expect(status).toBe(200);
  return cookie;
}

const statusOf = async (url: string, cookie: string) => (await call(url, 'GET /api/v1/auth/me', { cookie })).status;

/** A project of somebody's own: the types that the generator makes of the document, and these files. */
async function makeProject(url: string, files: Record<string, string>) {
  const cache = join(here, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'openapi-client-'));
  const types = astToString(await openapiTS(JSON.stringify(await readDocument(url))));
  const options = {
    target: 'esnext',
    module: 'nodenext',
    lib: ['esnext', 'dom', 'dom.iterable'],
    types: [],
    strict: true,
    rewriteRelativeImportExtensions: true,
    noEmitOnError: true,
    outDir: 'dist',
  };
  const all = {
    'backchannel.d.ts': types,
    'node.d.ts': 'declare const process: { env: Record<string, string | undefined> };\n',
    'package.json': '{ "type": "module" }\n',
    'tsconfig.json': JSON.stringify({ compilerOptions: options }),
    ...files,
  };
  for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
  const tsc = createRequire(join(here, 'package.json')).resolve('typescript/bin/tsc');
  return {
    folder,
    /** Rejects with what the compiler says as `stdout`. */
    compile: () => run(process.execPath, [tsc, '--project', folder], { cwd: folder }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
