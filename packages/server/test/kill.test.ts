// A server that is killed in the middle of things, again and again: what it has answered stays true.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { expect, test } from 'vitest';
import { PASSWORD, startServer } from './harness.ts';

/** Data folders that are killed side by side, and how often each is: a hundred and more in all. */
const FOLDERS = 3;
const KILLS = 36;
const WORKERS = 4;

const program = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const firstLine = async (child: ChildProcess): Promise<string> => {
  if (!child.stdout) throw new Error('no stdout');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return line;
};

/** Runs a server on a folder until it is killed. Nothing of the machine's environment reaches it. */
async function serve(dataDir: string) {
  const child = spawn(process.execPath, [program('kill-server.ts'), dataDir], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const ended = once(child, 'close');
  const url = await Promise.race([
    firstLine(child),
    ended.then(() => {
      throw new Error(`it did not start: ${stderr}`);
    }),
  ]);
  return {
    url,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What is known of something that was opened: what was answered is certain; what was only asked for may have happened. */
interface Known {
  /** The header that shows it. */
  header: Record<string, string>;
  id: string;
  state: 'live' | 'asked to end' | 'ended';
}

/** One data folder as its user remembers it. */
function createMemory() {
  const sessions: Known[] = [];
  const tokens: Known[] = [];
  /** Ids of sessions and tokens by the type of event that must be there of each, once. */
  const recorded: { type: string; id: string }[] = [];
  return { sessions, tokens, recorded, password: 'admin123', next: null as string | null, changed: 0, answers: 0 };
}
type Memory = ReturnType<typeof createMemory>;

async function send(url: string, method: string, path: string, headers: Record<string, string>, body?: object) {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  // biome-ignore lint/suspicious/noExplicitAny: what it is, is what each caller knows
  return { status: answer.status, cookies: answer.headers.getSetCookie(), body: (await answer.json()) as any };
}

async function signIn(url: string, memory: Memory): Promise<Known> {
  const login = await send(url, 'POST', '/auth/login', {}, { password: memory.password });
  expect(login.status).toBe(200);
  const cookie = login.cookies.map((line) => line.split(';')[0]).join('; ');
  const { body } = await send(url, 'GET', '/auth/me', { cookie });
  const session: Known = { header: { cookie }, id: body.session.id, state: 'live' };
  memory.sessions.push(session);
  memory.recorded.push({ type: 'login.succeeded', id: session.id });
  return session;
}

/** One thing after another until the server is gone. Each session ends others, and itself at last. */
async function work(url: string, memory: Memory): Promise<never> {
  const isOthers = (known: Known, own: Known) => known !== own && known.state === 'live';
  for (let turn = 0; ; turn++) {
    const own = await signIn(url, memory);
    const made = await send(url, 'POST', '/auth/tokens', own.header, { name: 'x', scope: 'full' });
    // Another worker may have ended this session meanwhile.
    if (made.status === 401) continue;
    expect(made.status).toBe(200);
    const { token, secret } = made.body;
    memory.tokens.push({ header: { authorization: `Bearer ${secret}` }, id: token.id, state: 'live' });
    memory.recorded.push({ type: 'token.created', id: token.id });
    for (const [kind, known] of [
      ['sessions', memory.sessions.findLast((each) => isOthers(each, own) && each.id < own.id)],
      ['tokens', memory.tokens.findLast((each) => isOthers(each, own) && each.id < token.id)],
    ] as const) {
      if (!known) continue;
      known.state = 'asked to end';
      const ended = await send(url, 'DELETE', `/auth/${kind}/${known.id}`, own.header);
      if (ended.status === 401) break;
      expect(ended.status).toBe(200);
      known.state = 'ended';
      memory.recorded.push({ type: kind === 'sessions' ? 'session.revoked' : 'token.revoked', id: known.id });
      memory.answers++;
    }
    memory.answers += 2;
    if (turn % 3 === 2 && own.state === 'live') {
      own.state = 'asked to end';
      await send(url, 'POST', '/auth/logout', own.header);
      own.state = 'ended';
      memory.answers++;
    }
  }
}

/** Changes the password, with nobody else at work: whether it happened, it happened as a whole. */
async function changePassword(url: string, memory: Memory): Promise<void> {
  const own = await signIn(url, memory);
  const next = `password ${++memory.changed}`;
  memory.next = next;
  const others = memory.sessions.filter((each) => each !== own && each.state !== 'ended');
  const { status } = await send(url, 'POST', '/auth/password', own.header, { current: memory.password, new: next });
  expect(status).toBe(200);
  Object.assign(memory, { password: next, next: null, answers: memory.answers + 1 });
  for (const each of others) each.state = 'ended';
}

const opens = async (url: string, { header }: Known) => (await send(url, 'GET', '/auth/me', header)).status === 200;

/** Asks the server that was started again whether all is as it was answered, and learns what was never answered. */
async function verify(url: string, memory: Memory, sample: (known: Known[]) => Known[]): Promise<void> {
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  if (memory.next !== null) {
    const logins = [];
    for (const password of [memory.password, memory.next]) {
      logins.push((await send(url, 'POST', '/auth/login', {}, { password })).status);
    }
    const isChanged = logins[1] === 200;
    expect(logins.toSorted()).toEqual([200, 401]);
    const live = memory.sessions.filter((each) => each.state === 'live');
    const own = live.pop();
    if (own) expect(await opens(url, own)).toBe(true);
    for (const each of live) {
      expect(await opens(url, each)).toBe(!isChanged);
      if (isChanged) each.state = 'ended';
    }
    if (isChanged) memory.password = memory.next;
    memory.next = null;
  }
  const login = await send(url, 'POST', '/auth/login', {}, { password: memory.password });
  expect(login.status).toBe(200);
  for (const known of [...sample(memory.sessions), ...sample(memory.tokens)]) {
    const isOpen = await opens(url, known);
    if (known.state === 'asked to end') known.state = isOpen ? 'live' : 'ended';
    else expect(isOpen, known.state).toBe(known.state === 'live');
  }
}

/** Every change that was answered has its event, once. */
function expectEvents(dataDir: string, memory: Memory): void {
  const db = new Sqlite(join(dataDir, 'backchannel.db'), { readonly: true });
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  const counts = new Map(
    (
      db
        .prepare('select type, session_id, token_id, count(*) as count from events group by type, session_id, token_id')
        .all() as { type: string; session_id: string | null; token_id: string | null; count: number }[]
    ).map((row) => [`${row.type} ${row.token_id ?? row.session_id}`, row.count]),
  );
  for (const { type, id } of memory.recorded) expect(counts.get(`${type} ${id}`), `${type} ${id}`).toBe(1);
  db.close();
}

async function beKilledAgainAndAgain(dataDir: string): Promise<Memory> {
  const memory = createMemory();
  let server = await serve(dataDir);
  for (let kill = 1; kill <= KILLS; kill++) {
    const running = server;
    const isChange = kill % 4 === 0;
    const busy = isChange
      ? [changePassword(running.url, memory)]
      : Array.from({ length: WORKERS }, () => work(running.url, memory));
    // What is under way when the server goes fails for its caller, and for nothing else.
    const outcomes = Promise.allSettled(busy);
    await wait(Math.random() * (isChange ? 40 : 150));
    await running.kill();
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected' && !isGone(outcome.reason)) throw outcome.reason;
    }
    server = await serve(dataDir);
    const isLast = kill === KILLS;
    await verify(server.url, memory, (known) => (isLast ? known : known.slice(-12)));
  }
  await server.kill();
  expectEvents(dataDir, memory);
  return memory;
}

const isGone = (error: unknown) => error instanceof TypeError && /fetch failed|terminated/.test(error.message);

test('nothing that was answered is lost in a hundred kills, and each start after one is clean', {
  timeout: 240_000,
}, async () => {
  const folders = Array.from({ length: FOLDERS }, () => mkdtempSync(join(tmpdir(), 'backchannel-kill-')));
  const memories = await Promise.all(folders.map(beKilledAgainAndAgain));
  const answers = memories.reduce((sum, memory) => sum + memory.answers, 0);
  expect(FOLDERS * KILLS).toBeGreaterThanOrEqual(100);
  // Else it was killed before it had done anything.
  expect(answers).toBeGreaterThan(FOLDERS * KILLS);
  expect(memories.some((memory) => memory.password !== 'admin123')).toBe(true);
  for (const folder of folders) rmSync(folder, { recursive: true });
});
