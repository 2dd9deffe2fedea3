// nginx in front of an application, as `backchannel proxy-config` has it: the printed block in a folder of its own, or, with
// --open, the same block without its question to BackChannel. Its arguments: BackChannel's port, the application's address, a
// folder.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { findFreePorts } from '../../../e2e/free-ports.ts';

const [backchannelPort = '', upstream = '', folder = '', open] = process.argv.slice(2);
const cli = join(import.meta.dirname, '../../../packages/cli/src/main.ts');
const [port = 0] = await findFreePorts(1);
const words = ['proxy-config', 'nginx', `localhost:${port}`, upstream];
const block = execFileSync(process.execPath, [cli, ...words], {
  env: { PORT: backchannelPort, PUBLIC_URL: `http://localhost:${backchannelPort}`, TRUSTED_PROXIES: '127.0.0.1' },
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'ignore'],
});
const question = '    auth_request /backchannel-verify;\n';
if (!block.includes(question)) throw new Error('The block does not ask BackChannel.');

const file = join(folder, 'nginx.conf');
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
writeFileSync(
  file,
  `daemon off;
pid ${folder}/nginx.pid;
error_log stderr notice;
${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}
worker_processes 1;
events {}
http {
    access_log off;
${temporary.map((name) => `    ${name}_temp_path ${folder}/${name};`).join('\n')}
${open ? block.replace(question, '') : block}
}
`,
);

const child = spawn('nginx', ['-p', folder, '-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
// It ends with this process, whose stdin closes with the run's end.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGTERM'));
process.stdin.on('end', () => child.kill('SIGTERM')).resume();
let isTold = false;
child.stderr.setEncoding('utf8').on('data', (text: string) => {
  // What it says of its start is nothing that went wrong.
  if (/\[(?:warn|error|crit|alert|emerg)\]/.test(text)) process.stderr.write(text);
  if (isTold || !/start worker process \d/.test(text)) return;
  isTold = true;
  console.log(`http://localhost:${port}`);
});
const [code] = await once(child, 'exit');
process.exit(code ?? 1);
