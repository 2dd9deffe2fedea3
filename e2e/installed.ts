// The packages as npm's users get them: packed, and installed by npm in an empty folder outside this repository.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..');
const runFile = promisify(execFile);

export const packageNames = ['server', 'cli', 'client-sdk'] as const;
export type PackageName = (typeof packageNames)[number];

/** What a program may take at most, in milliseconds: it is ended before the test that waits for it. */
const PATIENCE_MS = 240_000;

export interface Run {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface Project extends AsyncDisposable {
  readonly folder: string;
  /** The tarball's path. */
  readonly tarballs: Readonly<Record<PackageName, string>>;
  write(name: string, content: string | object): Promise<void>;
  /** Where the package lies in the project. */
  packageDir(name: PackageName): string;
}

/** The path of a file in a package that this workspace has. */
export const resolveTool = (path: string): string => createRequire(import.meta.url).resolve(path);

/** The version of a package that this repository's root has. */
const versionOf = (name: string): string => createRequire(join(root, 'x'))(`${name}/package.json`).version;

/** The way to the registry: a machine may need proxies and certificates for it, which are in the environment. */
const registry = process.env;

/** Runs a program to its end. Of the environment it gets PATH, with the Node that runs this first, HOME and `env`. */
export async function run(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Run> {
  const { PATH = '', HOME = '' } = process.env;
  const env = { ...options.env, PATH: `${dirname(process.execPath)}${delimiter}${PATH}`, HOME };
  try {
    return {
      exitCode: 0,
      ...(await runFile(program, args, { cwd: options.cwd, env, maxBuffer: 2 ** 26, timeout: PATIENCE_MS })),
    };
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'number') throw error;
    const { code: exitCode, stdout, stderr } = error as Error & Run & { code: number };
    return { exitCode, stdout, stderr };
  }
}

/** As `run`, for what has to go well; what it said is in the error when it does not. */
export async function runWell(...call: Parameters<typeof run>): Promise<Run> {
  const done = await run(...call);
  if (done.exitCode === 0) return done;
  const [program, args] = call;
  throw new Error(`${program} ${args.join(' ')} ended with ${done.exitCode}:\n${done.stdout}${done.stderr}`);
}

/** The pnpm that runs this, or the one that the README names when it was started without. */
function pnpm(args: string[]): Promise<Run> {
  const running = process.env.npm_execpath ?? '';
  if (!/^pnpm\b/.test(basename(running))) {
    return runWell('npx', ['--yes', '--prefer-offline', 'pnpm@12', ...args], { cwd: root, env: registry });
  }
  return /\.[cm]?js$/.test(running)
    ? runWell(process.execPath, [running, ...args], { cwd: root, env: registry })
    : runWell(running, args, { cwd: root, env: registry });
}

/** Packs all three and installs them with npm, and a TypeScript beside them. No script of any package is run. */
export async function openProject(): Promise<Project> {
  const base = await realpath(await mkdtemp(join(tmpdir(), 'backchannel-installed-')));
  const dispose = () => rm(base, { recursive: true, force: true });
  try {
    const folder = join(base, 'project');
    const packed = join(base, 'packed');
    await mkdir(folder);
    const write = (name: string, content: string | object) =>
      writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    await pnpm(['--filter', './packages/*', 'pack', '--pack-destination', packed]);
    const files = await readdir(packed);
    const tarball = (name: PackageName) => {
      const file = files.find((each) => each.startsWith(`backchannel-${name}-`));
      if (file === undefined) throw new Error(`pnpm packed ${files.join(', ')}, but no ${name}`);
      return join(packed, file);
    };
    const tarballs = { server: tarball('server'), cli: tarball('cli'), 'client-sdk': tarball('client-sdk') };

    const devDependencies = { typescript: versionOf('typescript'), '@types/node': versionOf('@types/node') };
    await write('package.json', { private: true, type: 'module', devDependencies });
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
    // A connection that stalls is npm's for five minutes, unless told.
    const patience = ['--fetch-timeout=20000', '--fetch-retries=5'];
    await runWell('npm', ['install', ...quiet, ...patience, ...Object.values(tarballs)], {
      cwd: folder,
      env: registry,
    });
    const packageDir = (name: PackageName) => join(folder, 'node_modules/@backchannel', name);
    return { folder, tarballs, write, packageDir, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** An empty folder with nothing but these of the project's packages in its node_modules. */
export async function openPartOf(project: Project, names: readonly string[]) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'backchannel-part-')));
  for (const name of names) {
    await cp(join(project.folder, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
  }
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
