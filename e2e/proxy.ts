// Owns nginx and Caddy as these tests run them: the machine's own, unprivileged, in a folder of their own, with the blocks
// that they are given and nothing in those blocks changed.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const patienceMs = 20_000;

export type ProxyName = 'nginx' | 'caddy';

/** What makes the configuration whole that the blocks are a part of, and how it is run. */
interface Kind {
  versionArgs: string[];
  file: string;
  surround(blocks: string[], folder: string): string;
  args(file: string, folder: string): string[];
  checkArgs(file: string, folder: string): string[];
  /** What it writes once it listens. */
  ready: RegExp;
}

const kinds: Record<ProxyName, Kind> = {
  nginx: {
    versionArgs: ['-v'],
    file: 'nginx.conf',
    // As /etc/nginx/nginx.conf includes conf.d/*.conf inside of http.
    surround: (blocks, folder) => `
daemon off;
pid ${folder}/nginx.pid;
error_log stderr notice;
${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path ${folder}/body;
    proxy_temp_path ${folder}/proxy;
    fastcgi_temp_path ${folder}/fastcgi;
    uwsgi_temp_path ${folder}/uwsgi;
    scgi_temp_path ${folder}/scgi;
${blocks.map((_, index) => `    include ${folder}/${index}.conf;`).join('\n')}
}
`,
    args: (file, folder) => ['-p', folder, '-c', file],
    checkArgs: (file, folder) => ['-t', '-p', folder, '-c', file],
    ready: /start worker process \d/,
  },
  caddy: {
    versionArgs: ['version'],
    file: 'Caddyfile',
    surround: (blocks, folder) => `{
	admin off
	auto_https disable_redirects
	grace_period 1s
	servers {
		protocols h1 h2
	}
}
${blocks.map((_, index) => `import ${folder}/${index}.conf`).join('\n')}
`,
    args: (file) => ['run', '--config', file, '--adapter', 'caddyfile'],
    checkArgs: (file) => ['validate', '--config', file, '--adapter', 'caddyfile'],
    ready: /serving initial configuration/,
  },
};

const versions = new Map<ProxyName, Promise<string | null>>();

/** The version of the machine's own, as it tells it; null where there is none. */
export function findProxy(name: ProxyName): Promise<string | null> {
  const known = versions.get(name);
  if (known) return known;
  const asked = run(name, kinds[name].versionArgs, { env: { PATH: searchPath() } }).then(
    ({ stdout, stderr }) => (stdout + stderr).trim(),
    () => null,
  );
  versions.set(name, asked);
  return asked;
}

/** Where services are installed is on the path of root alone. */
const searchPath = (): string => [process.env.PATH ?? '', '/usr/local/sbin', '/usr/sbin'].join(delimiter);

/** A folder with a whole configuration around the blocks. */
async function prepare(name: ProxyName, blocks: string[]) {
  const folder = await mkdtemp(join(tmpdir(), `backchannel-${name}-`));
  await mkdir(join(folder, 'logs'));
  await Promise.all(blocks.map((block, index) => writeFile(join(folder, `${index}.conf`), `${block}\n`)));
  const file = join(folder, kinds[name].file);
  await writeFile(file, kinds[name].surround(blocks, folder));
  // Caddy keeps certificates and its last configuration in these.
  const env = { PATH: searchPath(), HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  return { folder, file, env };
}

/** What the proxy's own check says of the blocks: null where it takes them without a warning. */
export async function checkBlocks(name: ProxyName, blocks: string[]): Promise<string | null> {
  const { folder, file, env } = await prepare(name, blocks);
  try {
    const { stderr } = await run(name, kinds[name].checkArgs(file, folder), { env });
    return /\[warn\]/.test(stderr) ? stderr : null;
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface ProxyProcess extends AsyncDisposable {
  /** All that it has written so far. */
  output(): string;
}

/** Starts it and waits until it listens. */
export async function openProxy(name: ProxyName, blocks: string[]): Promise<ProxyProcess> {
  const { folder, file, env } = await prepare(name, blocks);
  const child = spawn(name, kinds[name].args(file, folder), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const dispose = async () => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (what: string) => reject(new Error(`${name} ${what}. It wrote:\n${output}`));
      const timer = setTimeout(() => fail(`does not listen after ${patienceMs} ms`), patienceMs);
      child.once('exit', (code, signal) => fail(`ended (${signal ?? code}) before it listened`));
      child.once('error', (error) => fail(`did not start: ${error.message}`));
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          if (!kinds[name].ready.test(output)) return;
          clearTimeout(timer);
          resolve();
        });
      }
    });
    return { output: () => output, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  // Of nginx the master, which ends its workers.
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await ended;
  clearTimeout(timer);
}

/** A throw-away certificate for the names, its own authority; null where the machine has no openssl. */
export async function makeCertificate(folder: string, names: string[]): Promise<{ cert: string; key: string } | null> {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const subject = [
    '-subj',
    '/CN=backchannel-e2e',
    '-addext',
    `subjectAltName=${names.map((each) => `DNS:${each}`).join()}`,
  ];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  return run('openssl', ['req', ...kind, ...subject, '-out', cert, '-keyout', key]).then(
    () => ({ cert, key }),
    (error) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    },
  );
}
