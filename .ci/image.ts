// Checks the container image where there is no Docker: runs the Dockerfile's own lines in two empty folders that stand
// for its two stages, then uses the result as a container would be used. Only `/` is moved, and FROM is the Node that
// runs this. It must run as root, to start the server as the image's unprivileged user.
// biome-ignore-all lint/style/noProcessEnv: what it starts gets the environment that it has itself.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, matchesGlob } from 'node:path';

interface Stage {
  /** The folder that stands for `/`. */
  root: string;
  workdir: string;
  env: Record<string, string>;
  uid: number;
  gid: number;
  entrypoint: string[];
  healthcheck: string[];
}

const checkout = join(import.meta.dirname, '..');
const patienceMs = 20_000;
const scratch = mkdtempSync(join(tmpdir(), 'backchannel-image-'));
chmodSync(scratch, 0o755);
try {
  await main();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function main(): Promise<void> {
  assert.equal(process.getuid?.(), 0, 'Run this as root: it starts the server as another user.');
  const image = build();
  report(`the Dockerfile's steps make a tree of ${megabytes(join(image.root, 'app'))} MB`);

  const installed = readdirSync(join(image.root, 'app/node_modules/.pnpm'));
  const { devDependencies, optionalDependencies } = readJson('package.json');
  const tools = Object.keys({ ...devDependencies, ...optionalDependencies }).filter(
    (name) => !name.startsWith('@types/'),
  );
  const unwanted = tools.filter((name) => installed.some((folder) => folder.startsWith(`${name.replace('/', '+')}@`)));
  assert.deepEqual(unwanted, [], 'The image has packages that only development needs.');
  report('nothing that only development needs is in it');

  const port = String(await freePort());
  const first = await start(image, port);
  const password = first.output().match(/password\W+([^\s,;]{10,})/i)?.[1] ?? '';
  assert.equal(first.output().split(password).length, 2, `No password that is shown once:\n${first.output()}`);
  assert.equal(await signIn(port, password), 200);
  assert.equal(await signIn(port, 'admin123'), 401);
  report('it serves as an unprivileged user, with a generated password that is shown once');
  assert.equal(await exitCode(inside(image, image.healthcheck, { PORT: port })), 0);
  assert.equal(await first.stop(), 0);
  assert.equal(await exitCode(inside(image, image.healthcheck, { PORT: port })), 1);
  report('SIGTERM ends it with 0, and the health check tells the difference');

  const second = await start(image, port);
  assert.equal(await signIn(port, password), 200);
  assert.equal(await second.stop(), 0);
  assert.doesNotMatch(second.output(), /shown this once/i);
  report('the password outlives a restart and is not shown again');

  const hash = inside(image, [...image.entrypoint, 'hash', 'correct horse battery staple']);
  // Advice goes to stderr; stdout is exactly the result.
  const result = collect(hash, ['stdout']);
  const advice = collect(hash, ['stderr']);
  assert.equal(await exitCode(hash), 0, advice());
  assert.match(result(), /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}\n$/);
  report('a command after the name of the image runs the command line');

  // It loads all the others, and the procedures.
  const completion = inside(image, [...image.entrypoint, 'completion', 'bash']);
  const script = collect(completion, ['stdout']);
  const fault = collect(completion, ['stderr']);
  assert.equal(await exitCode(completion), 0, fault());
  assert.match(script(), /'call'\) candidates='.*\bclient\.protected'/);
  report('every command finds the packages that it needs');
}

/** Runs the Dockerfile line by line and returns its last stage. */
function build(): Stage {
  const context = collectContext();
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const line of readFileSync(join(checkout, 'Dockerfile'), 'utf8')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((each) => each.trim() !== '')) {
    const [, instruction = '', rest = ''] = line.match(/^(\w+)\s+(.*)$/) ?? [];
    if (instruction === 'FROM') {
      const [, major, name] = rest.match(/^node:(\d+)-slim(?: AS (\w+))?$/) ?? [];
      assert.equal(process.versions.node.split('.')[0], major, `Node ${process.version} is not that of "${rest}".`);
      stage = openStage(join(scratch, `stage-${stages.size}`));
      stages.set(name ?? 'last', stage);
      continue;
    }
    assert(stage, `${line}: no FROM before it`);
    apply({ instruction, rest: moved(rest, stage.root), stage, stages, context });
  }
  assert(stage, 'The Dockerfile is empty.');
  return stage;
}

function apply(step: {
  instruction: string;
  rest: string;
  stage: Stage;
  stages: ReadonlyMap<string, Stage>;
  context: string;
}): void {
  const { instruction, rest, stage, stages, context } = step;
  switch (instruction) {
    case 'WORKDIR':
      stage.workdir = rest;
      mkdirSync(rest, { recursive: true });
      return;
    case 'ENV':
      for (const pair of rest.split(/\s+/)) stage.env[pair.split('=', 1)[0] ?? ''] = pair.slice(pair.indexOf('=') + 1);
      return;
    case 'RUN':
      execFileSync('sh', ['-c', rest], { cwd: stage.workdir, env: { ...process.env, ...stage.env }, stdio: 'inherit' });
      return;
    case 'COPY':
      copy(rest, { stage, stages, context });
      return;
    case 'USER': {
      const [, uid, gid] = rest.match(/^(\d+):(\d+)$/) ?? [];
      assert(uid && gid, 'USER must be numeric.');
      Object.assign(stage, { uid: Number(uid), gid: Number(gid) });
      return;
    }
    case 'HEALTHCHECK':
      stage.healthcheck = JSON.parse(rest.slice(rest.indexOf('['))) as string[];
      return;
    case 'ENTRYPOINT':
      stage.entrypoint = JSON.parse(rest) as string[];
      return;
    default:
      assert(['VOLUME', 'EXPOSE', 'CMD'].includes(instruction), `This script does not know ${instruction}.`);
  }
}

function copy(rest: string, from: { stage: Stage; stages: ReadonlyMap<string, Stage>; context: string }): void {
  const words = rest.split(/\s+/);
  const name = words[0]?.match(/^--from=(\w+)$/)?.[1];
  const source = name === undefined ? undefined : from.stages.get(name);
  if (name !== undefined) words.shift();
  const target = words.pop() ?? '';
  for (const word of words) {
    // A path of another stage was moved to this one's root with the rest of the line.
    const path = source ? word.replace(from.stage.root, source.root) : join(from.context, word);
    const to = join(target.startsWith('/') ? '' : from.stage.workdir, target);
    // As Docker has it: a folder's content is copied, a file goes into a target that ends with a slash.
    const file = statSync(path).isFile();
    cpSync(path, file ? join(to, path.slice(dirname(path).length)) : to, { recursive: true, verbatimSymlinks: true });
  }
}

function openStage(root: string): Stage {
  const bin = join(root, 'usr/local/bin');
  mkdirSync(bin, { recursive: true });
  copyFileSync(process.execPath, join(bin, 'node'));
  const path = `${bin}:${process.env.PATH}`;
  return { root, workdir: root, env: { PATH: path }, uid: 0, gid: 0, entrypoint: [], healthcheck: [] };
}

/** What `docker build .` would send: the tracked files that .dockerignore lets through. */
function collectContext(): string {
  const context = join(scratch, 'context');
  const rules = readFileSync(join(checkout, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => /^[^#]/.test(line));
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: checkout, encoding: 'utf8' }).split('\0');
  for (const file of tracked.filter((each) => each !== '' && existsSync(join(checkout, each)))) {
    const parents = file.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'));
    const last = rules.findLast((rule) => parents.some((path) => matchesGlob(path, rule.replace(/^!/, ''))));
    if (last === undefined || last.startsWith('!')) cpSync(join(checkout, file), join(context, file));
  }
  return context;
}

/** Every absolute path of the image, as it is in the folder that stands for its root. */
function moved(text: string, root: string): string {
  return text.replace(/(?<![\w.:/-])\/(?=(?:app|data|usr\/local\/bin)\b)/g, `${root}/`);
}

/** Starts a command as the image's user with the image's environment, as `docker run` would. */
function inside(image: Stage, command: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const [program = '', ...args] = command;
  return spawn(program, args, {
    cwd: image.workdir,
    env: { ...image.env, HOME: '/', ...env },
    uid: image.uid,
    gid: image.gid,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function start(image: Stage, port: string): Promise<{ output(): string; stop(): Promise<number | null> }> {
  const server = inside(image, image.entrypoint, { PORT: port });
  const output = collect(server);
  const deadline = Date.now() + patienceMs;
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  // It answers a moment before what it printed has come through the pipe.
  while (!(await isUp()) || !/^ +Service /m.test(output())) {
    const isOver = server.exitCode !== null || Date.now() > deadline;
    if (isOver) server.kill('SIGKILL');
    assert(!isOver, `The server does not answer. It wrote:\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = () => {
    server.kill('SIGTERM');
    return exitCode(server);
  };
  return { output, stop };
}

function collect(child: ChildProcess, streams: readonly ('stdout' | 'stderr')[] = ['stdout', 'stderr']): () => string {
  let text = '';
  for (const name of streams) {
    child[name]?.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  }
  return () => text;
}

/** Null when it had to be killed. */
async function exitCode(child: ChildProcess): Promise<number | null> {
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  clearTimeout(timer);
  return child.exitCode;
}

async function signIn(port: string, password: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password }),
  });
  return answer.status;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  assert(address && typeof address === 'object');
  return address.port;
}

function megabytes(folder: string): string {
  return (Number(execFileSync('du', ['-sk', folder], { encoding: 'utf8' }).split('\t')[0]) / 1024).toFixed(0);
}

function readJson(file: string): Record<string, Record<string, string>> {
  return JSON.parse(readFileSync(join(checkout, file), 'utf8')) as Record<string, Record<string, string>>;
}

function report(what: string): void {
  console.log(`image: ${what}`);
}
