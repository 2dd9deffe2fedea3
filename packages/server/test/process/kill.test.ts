// A server that is killed in the middle of things, again and again: what it has answered stays true.
// Runs on one engine: a kill meets the file of SQLite; PostgreSQL outlives the server.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';
import { amountOf } from '../support/amount.ts';
import { cookieOf } from '../support/cookies.ts';
import { PASSWORD, sqliteFile, startServer, testOnSqlite } from '../support/harness.ts';

/** One process runs all the servers, because starting it costs the most. Each kill meets each server in another state. */
const FOLDERS = 4;
const KILLS = amountOf({ sample: 5, long: 100 });
const WORKERS = 2;
const FIRST_STARTS = amountOf({ sample: 3, long: 30 });
const ROUNDS_BESIDE_ANOTHER = amountOf({ sample: 3, long: 100 });

const program = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));
const newFolder = () => mkdtempSync(join(tmpdir(), 'backchannel-kill-'));

const children = new Set<ChildProcess>();
// None outlives a test that failed.
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

/** Starts a process that serves these folders. Nothing of the machine's environment reaches it. */
function run(...folders: string[]) {
  const child = spawn(process.execPath, [program('kill-server.ts'), ...folders], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const ended = once(child, 'close').then(() => stderr);
  const urls = once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line).split(' '));
  return { child, urls, ended };
}

/** The same, once it serves. */
async function serve(folders: string[]) {
  const { child, urls, ended } = run(...folders);
  const failure = ended.then((stderr) => {
    throw new Error(`it did not start: ${stderr}`);
  });
  failure.catch(() => {});
  return {
    urls: await Promise.race([urls, failure]),
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
  let answers = 0;
  let waiting: { answers: number; resolve: () => void } | null = null;
  return {
    sessions: [] as Known[],
    tokens: [] as Known[],
    /** Ids of sessions and tokens with the type of event that must be there of each, once. */
    recorded: [] as { type: string; id: string }[],
    password: 'admin123',
    /** What the password was asked to be, where that was not answered. */
    next: null as string | null,
    changes: { asked: 0, answered: 0, lastMs: 30 },
    answered: () => {
      if (++answers === waiting?.answers) waiting.resolve();
    },
    /** Until so many more things were answered. */
    further: (count: number) =>
      new Promise<void>((resolve) => {
        waiting = { answers: answers + count, resolve };
      }),
  };
}
type Memory = ReturnType<typeof createMemory>;

async function send(url: string, method: string, path: string, headers: Record<string, string>, body?: object) {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  // biome-ignore lint/suspicious/noExplicitAny: what it is, is what each caller knows
  return { status: answer.status, cookie: cookieOf(answer), body: (await answer.json()) as any };
}

async function signIn(url: string, memory: Memory): Promise<Known> {
  const login = await send(url, 'POST', '/auth/login', {}, { password: memory.password });
  expect(login.status).toBe(200);
  const { cookie } = login;
  const { body } = await send(url, 'GET', '/auth/me', { cookie });
  const session: Known = { header: { cookie }, id: body.session.id, state: 'live' };
  memory.sessions.push(session);
  memory.recorded.push({ type: 'login.succeeded', id: session.id });
  memory.answered();
  return session;
}

/** One thing after another until the server is gone. Each session ends another one and a token, and some themselves. */
async function work(url: string, memory: Memory): Promise<never> {
  for (let turn = 0; ; turn++) {
    const own = await signIn(url, memory);
    const made = await send(url, 'POST', '/auth/tokens', own.header, { name: 'x', scope: 'full' });
    // Another worker may have ended this session meanwhile.
    if (made.status === 401) continue;
    expect(made.status).toBe(200);
    const { token, secret } = made.body;
    const known: Known = { header: { authorization: `Bearer ${secret}` }, id: token.id, state: 'live' };
    memory.tokens.push(known);
    memory.recorded.push({ type: 'token.created', id: token.id });
    memory.answered();
    await endOne(url, memory, own, 'session');
    await endOne(url, memory, own, 'token');
    if (turn % 3 === 2 && own.state === 'live') {
      own.state = 'asked to end';
      await send(url, 'POST', '/auth/logout', own.header);
      own.state = 'ended';
      memory.recorded.push({ type: 'logout', id: own.id });
      memory.answered();
    }
  }
}

/** Ends the middle one of those that live: old ones and new ones are left. */
async function endOne(url: string, memory: Memory, own: Known, kind: 'session' | 'token'): Promise<void> {
  const others = memory[`${kind}s`].filter((each) => each !== own && each.state === 'live');
  const known = others[Math.floor(others.length / 2)];
  if (!known) return;
  known.state = 'asked to end';
  const { status } = await send(url, 'DELETE', `/auth/${kind}s/${known.id}`, own.header);
  if (status === 401) return;
  expect(status).toBe(200);
  known.state = 'ended';
  memory.recorded.push({ type: `${kind}.revoked`, id: known.id });
  memory.answered();
}

/** Changes the password, with nobody else at work: whether it happened, it happened as a whole. */
async function changePassword(url: string, memory: Memory, own: Known): Promise<void> {
  const { changes } = memory;
  const next = `password ${++changes.asked}`;
  memory.next = next;
  const begin = performance.now();
  const body = { current: memory.password, new: next };
  const { status, cookie } = await send(url, 'POST', '/auth/password', own.header, body);
  expect(status).toBe(200);
  own.header = { cookie };
  for (const each of memory.sessions) if (each !== own) each.state = 'ended';
  Object.assign(memory, { password: next, next: null });
  Object.assign(changes, { answered: changes.answered + 1, lastMs: performance.now() - begin });
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
    // The session that asked has a new secret after a change, and its cookie was lost with the response.
    for (const each of memory.sessions.filter(({ state }) => state === 'live')) {
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
        .prepare(
          'select type, session_id, token_id, count(*) as count from backchannel_events group by type, session_id, token_id',
        )
        .all() as { type: string; session_id: string | null; token_id: string | null; count: number }[]
    ).map((row) => [`${row.type} ${row.token_id ?? row.session_id}`, row.count]),
  );
  for (const { type, id } of memory.recorded) expect(counts.get(`${type} ${id}`), `${type} ${id}`).toBe(1);
  db.close();
}

const isGone = (error: unknown) => error instanceof TypeError && /fetch failed|terminated/.test(error.message);

/** What is under way when the server goes fails for its caller, and for nothing else. */
async function killDuring(server: { kill(): Promise<void> }, busy: Promise<unknown>[], moment: Promise<unknown>) {
  const outcomes = Promise.allSettled(busy);
  // Whatever fails before the kill shows at once.
  await Promise.race([moment, Promise.all([...busy, moment])]);
  await server.kill();
  for (const outcome of await outcomes) {
    if (outcome.status === 'rejected' && !isGone(outcome.reason)) throw outcome.reason;
  }
}

test('nothing that was answered is lost when it is killed again and again, and each start after one is clean', async () => {
  const folders = Array.from({ length: FOLDERS }, () => ({ dataDir: newFolder(), memory: createMemory() }));
  const dataDirs = folders.map(({ dataDir }) => dataDir);
  let server = await serve(dataDirs);
  for (let kill = 1; kill <= KILLS; kill++) {
    const busy: Promise<unknown>[] = [];
    const moments: Promise<unknown>[] = [];
    for (const [index, { memory }] of folders.entries()) {
      const url = server.urls[index] ?? '';
      if ((kill + index) % FOLDERS === 0) {
        const own = await signIn(url, memory);
        const change = changePassword(url, memory, own);
        // The last kill comes after an answered change, so that chance cannot leave that case out.
        moments.unshift(kill === KILLS ? change : wait(Math.random() * 1.5 * memory.changes.lastMs));
        busy.push(change);
      } else {
        moments.push(memory.further(1 + Math.floor(Math.random() * 10)).then(() => wait(Math.random() * 5)));
        for (let worker = 0; worker < WORKERS; worker++) busy.push(work(url, memory));
      }
    }
    // By turns one that is changing its password and one that is not says when.
    await killDuring(server, busy, moments[kill === KILLS ? 0 : kill % 2] ?? Promise.resolve());
    server = await serve(dataDirs);
    const sample = (known: Known[]) => (kill === KILLS ? known : known.slice(-8));
    await Promise.all(folders.map(({ memory }, index) => verify(server.urls[index] ?? '', memory, sample)));
  }
  await server.kill();
  for (const { dataDir, memory } of folders) {
    expectEvents(dataDir, memory);
    rmSync(dataDir, { recursive: true });
  }
  const changes = folders.map(({ memory }) => memory.changes);
  expect(changes.some(({ answered }) => answered > 0)).toBe(true);
});

test('a server that is killed while it starts for the first time starts the next time', async () => {
  let usualMs = 1000;
  for (let kill = 0; kill < FIRST_STARTS; kill++) {
    const dataDir = newFolder();
    const begin = performance.now();
    const starting = run(dataDir);
    const serves = starting.urls.then(() => true);
    // It makes the folder, the key and the database in the last part of its start.
    const isServing = await Promise.race([serves, wait(usualMs * (0.5 + Math.random() / 2), false)]);
    starting.child.kill('SIGKILL');
    await starting.ended;
    if (isServing) usualMs = performance.now() - begin;
    {
      await using server = await startServer({ password: { from: 'database', builtInAllowed: true } }, { dataDir });
      const login = await server.client().rest('POST', '/auth/login', { password: 'admin123' });
      expect(login.status).toBe(200);
    }
    rmSync(dataDir, { recursive: true });
  }
});

testOnSqlite(
  'another program that writes to the database all the time fails no request and loses nothing',
  async () => {
    // On a disk: in memory the other program never waits, and leaves no moment for anybody else.
    await using server = await startServer({}, { dataDir: newFolder() });
    const file = sqliteFile(server);
    const other = spawn(process.execPath, [program('kill-writer.ts'), file], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.add(other);
    const lines: string[] = [];
    const ended = once(other, 'close');
    const begun = Promise.withResolvers<void>();
    createInterface({ input: other.stdout }).on('line', (line) => {
      lines.push(line);
      begun.resolve();
    });
    await begun.promise;
    const ids: string[] = [];
    const statuses = new Set<number>();
    const use = async () => {
      const client = server.client();
      for (const [method, path, body] of [
        ['POST', '/auth/login', { password: PASSWORD }],
        ['GET', '/auth/me'],
        ['POST', '/auth/tokens', { name: 'x', scope: 'read' }],
        ['GET', '/client/dashboard'],
        ['GET', '/client/stats'],
        ['POST', '/auth/logout'],
      ] as const) {
        const answer = await client.rest(method, path, body);
        statuses.add(answer.status);
        if (path === '/auth/me') ids.push(answer.body.session.id);
      }
    };
    for (let round = 0; round < ROUNDS_BESIDE_ANOTHER; round++) await Promise.all([use(), use(), use(), use()]);
    other.stdin.end();
    await ended;
    expect([...statuses]).toEqual([200]);
    const db = new Sqlite(file, { readonly: true });
    const countOf = (where: string, ...values: string[]) =>
      db
        .prepare(`select count(*) from backchannel_events where ${where}`)
        .pluck()
        .get(...values);
    expect(countOf("detail = 'the other program'")).toBe(Number(lines.at(-1)));
    expect(Number(lines.at(-1))).toBeGreaterThan(10);
    for (const id of ids)
      for (const type of ['login.succeeded', 'logout'])
        expect(countOf('type = ? and session_id = ?', type, id)).toBe(1);
    expect(countOf("type = 'token.created'")).toBe(ids.length);
    db.close();
  },
);
