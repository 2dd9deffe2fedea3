// What npm gets: built, packed, installed where nothing of this repository is, type-checked and run.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { PASSWORD, startServer } from '../../server/test/harness.ts';
import { standaloneRouter } from '../build.ts';
import { runWell } from './run.ts';

const packageDir = join(import.meta.dirname, '..');
const versionOf = (name: string): string => createRequire(import.meta.url)(`${name}/package.json`).version;

/** The pnpm that runs this test, or the one that the README names when it was started without. */
function pnpm(args: string[], options: Parameters<typeof runWell>[2]) {
  const running = process.env.npm_execpath ?? '';
  if (!/^pnpm\b/.test(basename(running)))
    return runWell('npx', ['--yes', '--prefer-offline', 'pnpm@12', ...args], options);
  if (/\.[cm]?js$/.test(running)) return runWell(process.execPath, [running, ...args], options);
  return runWell(running, args, options);
}

/** The README's examples, each a program of its own, for this server. */
function readmePrograms(url: string): string[] {
  const readme = readFileSync(join(packageDir, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) =>
    code.replaceAll('http://localhost:8000', url).replaceAll('admin123', PASSWORD),
  );
}

/** Compiles only while the packed types are the router's: `any` would make each of these lines an error. */
const typeTest = `
import { type BackchannelClient, BackchannelError, type BackchannelIssue, type BackchannelOutputs } from '@backchannel/client-sdk';

type IsAny<T> = 0 extends 1 & T ? true : false;
type Me = Awaited<ReturnType<BackchannelClient['auth']['me']['query']>>;
export const meIsAny: IsAny<Me> = false;
export const issueIsAny: IsAny<BackchannelIssue> = false;
export const issue: BackchannelIssue = { path: 'password', message: 'Too short.' };
export const session: BackchannelOutputs['auth']['me']['session'] = null;

export async function use(bc: BackchannelClient, error: BackchannelError): Promise<void> {
  const { session } = await bc.auth.me.query();
  const until: string | undefined = session?.expiresAt;
  // @ts-expect-error there is no such field
  session?.username;
  // @ts-expect-error no such procedure
  bc.auth.whoami;
  // @ts-expect-error a query does not mutate
  bc.auth.me.mutate;
  // @ts-expect-error the field is password
  await bc.auth.login.mutate({ passwort: until });
  // @ts-expect-error a password is text
  await bc.auth.login.mutate({ password: 5 });
  // @ts-expect-error no such code
  error.code === 'TEAPOT';
  const code: 'UNREACHABLE' | 'UNAUTHORIZED' | undefined = error.code === 'UNREACHABLE' ? error.code : undefined;
  console.log(code, error.issues[0]?.path.length, error.status?.toFixed(), error.retryAfterSeconds?.toFixed());
}
`;

test('the packed package works in an empty project: NodeNext, Bundler, and at run time', async () => {
  await using server = await startServer();
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'backchannel-sdk-')));
  try {
    await pnpm(['pack', '--pack-destination', folder], { cwd: packageDir });
    const [tarball = ''] = readdirSync(folder);
    const project = join(folder, 'project');
    mkdirSync(project);
    const write = (name: string, content: string | object) =>
      writeFileSync(join(project, name), typeof content === 'string' ? content : JSON.stringify(content));

    // The peer of tRPC that npm would add, and Node's types, in the versions that this repository has in its store.
    const devDependencies = { typescript: versionOf('typescript'), '@types/node': versionOf('@types/node') };
    const dependencies = { '@backchannel/client-sdk': `file:../${tarball}` };
    write('package.json', { name: 'project', private: true, type: 'module', dependencies, devDependencies });
    // A workspace of its own, whatever lies above the temporary folder.
    write('pnpm-workspace.yaml', 'packages: []\n');
    const programs = readmePrograms(server.url);
    programs.forEach((code, index) => {
      write(`readme-${index}.ts`, code);
    });
    write('types.ts', typeTest);
    const strict = {
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
      target: 'es2023',
    };
    const libs = { lib: ['es2023', 'esnext.disposable', 'dom'], types: ['node'] };
    const projects = {
      'nodenext.json': { ...strict, ...libs, module: 'nodenext' },
      'bundler.json': { ...strict, ...libs, module: 'esnext', moduleResolution: 'bundler' },
    };
    await pnpm(['install', '--prefer-offline', '--no-frozen-lockfile'], { cwd: project });
    for (const [name, compilerOptions] of Object.entries(projects)) {
      write(name, { compilerOptions, include: ['*.ts'] });
      await runWell(process.execPath, ['node_modules/typescript/bin/tsc', '--project', name], { cwd: project });
    }

    const said: string[] = [];
    for (const [index, code] of programs.entries()) {
      // Its token is a placeholder; that tokens go out is tested in session.test.ts.
      if (code.includes('token:')) continue;
      said.push((await runWell(process.execPath, [`readme-${index}.ts`], { cwd: project })).stdout);
    }
    expect(said).toEqual([
      expect.stringMatching(/^Signed in until 20\S+Z\.\n$/),
      'Still signed in.\n',
      'That is not the password.\n',
      'Signed out.\n',
      `GET ${server.url}/trpc/auth.status → 200\nSigned out.\n`,
      'describe\n',
    ]);

    const installed = join(project, 'node_modules/@backchannel/client-sdk');
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(manifest.dependencies).toEqual({
      '@trpc/client': versionOf('@trpc/client'),
      '@trpc/server': versionOf('@trpc/server'),
    });
    const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((name) => /\.\w+$/.test(name));
    const modules = ['answer', 'cookie-store', 'cookies', 'deadline', 'errors', 'index', 'retry', 'transport'].flatMap(
      (name) => [`${name}.d.ts`, `${name}.js`],
    );
    expect(files.filter((name) => !/^(LICENSE|node_modules\b)/.test(name)).sort()).toEqual(
      ['README.md', 'package.json', ...[...modules, 'router.d.ts'].map((name) => join('dist', name))].sort(),
    );
    for (const name of files.filter((name) => name.startsWith('dist'))) {
      const text = readFileSync(join(installed, name), 'utf8');
      expect(text).not.toContain('@backchannel/server');
      if (name.endsWith('.d.ts')) expect(text).not.toMatch(/\bany\b(?=[;,>\]|)])/);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

test('a router type that needs the server stops the build', () => {
  const standsAlone =
    'import { initTRPC } from "@trpc/server";\nexport declare const appRouter: import("@trpc/server").X;';
  expect(standaloneRouter(standsAlone)).toContain('\ndeclare const appRouter');
  const allowed = 'export declare const a: { ctx: import("./trpc.ts").Context; meta: import("./trpc.ts").Meta };';
  expect(standaloneRouter(allowed)).toBe('export declare const a: { ctx: object; meta: object };');
  for (const needy of [
    'export declare const a: import("./services/gate.ts").Principal;',
    'export declare const a: import("zod").ZodString;',
    'export declare const a: import("./trpc.ts").ContextOfMine;',
    "import type { Row } from './store/entities.ts';",
    "export * from '../else.ts';",
    "import '@trpc/server/adapters/express';",
  ]) {
    expect(() => standaloneRouter(needy)).toThrow(/^The router's type needs \S+, which a client does not have/);
  }
});
