// An application that resolves paths as Tomcat does: a stand-in for every run, and the real one, which the long run compares it
// with. Tomcat needs a JDK and Maven, which downloads it (tomcat/pom.xml).
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sources = join(import.meta.dirname, 'tomcat');

export interface PathEcho extends AsyncDisposable {
  /** Responds with the path that it resolved, or with 400. */
  url: string;
}

/** What Tomcat does not allow in a target as it is (RFC 3986, 3.3). Anything above ASCII is not allowed either. */
const notInTargets = /[^!-~]|["#<>\\^`{|}[\]]/;

/** The path that Tomcat 10.1 resolves, by default; null if it responds with 400. */
export function resolveAsTomcat(target: string): string | null {
  // A space or a tab ends the target.
  const whole = target.replace(/[ \t]+$/, '').replace(/^https?:\/\/[^/?]*/i, '');
  if (!whole.startsWith('/') || notInTargets.test(whole)) return null;
  const raw = whole.split('?')[0] ?? '';
  // Parameters go first, then what is encoded is decoded, once, and then dots are resolved.
  const withoutParameters = raw.replace(/;[^/]*/g, '');
  if (/%(?![0-9a-f]{2})|%2f|%5c|%00/i.test(withoutParameters)) return null;
  const path = decodeBytes(withoutParameters);
  const kept: string[] = [];
  const segments = path.replace(/\/+/g, '/').slice(1).split('/');
  for (const segment of segments) {
    if (segment === '..' && kept.pop() === undefined) return null;
    if (segment !== '.' && segment !== '..') kept.push(segment);
  }
  try {
    // What is left has to be UTF-8.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(`/${kept.join('/')}`, 'latin1'),
    );
  } catch {
    return null;
  }
}

/** Byte by byte. */
const decodeBytes = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));

/** Reads the request line as it is: an HTTP library would refuse some targets, or tidy them up. */
export async function openStandIn(): Promise<PathEcho & { targets: string[] }> {
  const targets: string[] = [];
  const server = createServer((socket) => {
    let head = '';
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (text: string) => {
      head += text;
      const target = /^\S+ (.*) HTTP\/1\.[01]\r\n[\s\S]*\r\n\r\n/.exec(head)?.[1];
      if (target === undefined) return;
      targets.push(target);
      const path = resolveAsTomcat(target);
      const body = Buffer.from(path ?? 'not a path');
      const lines = [`HTTP/1.1 ${path === null ? '400 Bad Request' : '200 OK'}`, `Content-Length: ${body.length}`];
      socket.end(Buffer.concat([Buffer.from([...lines, 'Connection: close', '', ''].join('\r\n')), body]));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    targets,
    [Symbol.asyncDispose]: async () => {
      await once(server.close(), 'close');
    },
  };
}

export async function openTomcat(): Promise<PathEcho | { missing: string }> {
  for (const [program, argument] of [
    ['java', '-version'],
    ['mvn', '-version'],
  ] as const) {
    const found = await run(program, [argument]).catch(() => null);
    if (found === null) return { missing: `no ${program}` };
  }
  const folder = await mkdtemp(join(tmpdir(), 'backchannel-tomcat-'));
  const forget = () => rm(folder, { recursive: true, force: true });
  try {
    const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'lib')}`];
    await run('mvn', ['-q', '-B', '-f', join(sources, 'pom.xml'), ...copy], { cwd: folder });
  } catch (error) {
    await forget();
    return { missing: `Maven could not download Tomcat: ${String(error).slice(0, 500)}` };
  }
  const args = [`-Djava.io.tmpdir=${folder}`, '-cp', join(folder, 'lib', '*'), join(sources, 'PathEcho.java')];
  const child = spawn('java', args, { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  const dispose = async () => {
    child.stdin.end();
    await ended;
    await forget();
  };
  for await (const line of createInterface(child.stdout)) {
    const port = /^port (\d+)$/.exec(line)?.[1];
    if (port) return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: dispose };
  }
  await dispose();
  return { missing: 'Tomcat did not start; a JDK is needed, not only a JRE' };
}
