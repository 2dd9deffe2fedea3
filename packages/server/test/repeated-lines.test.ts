// Log lines that a stranger can cause with every request: the log grows with time, not with the requests.
// Runs on one engine: the log doesn't depend on the database.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../src/log.ts';
import { openRequestLog } from '../src/repeated-lines.ts';
import { openElsewhere } from './support/elsewhere.ts';
import { sendRaw, startServer } from './support/harness.ts';

type Line = Record<string, unknown> & { level: string; msg: string };

let write: ReturnType<typeof spy>;
const spy = () => vi.spyOn(process.stderr, 'write').mockReturnValue(true);
beforeEach(() => {
  write = spy();
});
afterEach(() => {
  write.mockRestore();
  vi.useRealTimers();
});
const written = (): Line[] => write.mock.calls.map(([line]) => JSON.parse(String(line)));
const log = (logLevel: 'info' | 'debug' = 'info') => createLog({ logLevel, logFormat: 'json' });

describe('requests of strangers', () => {
  const trusted = { trustedProxies: ['private'] };
  const at = (host: string) => ({
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': host,
    'X-Forwarded-Uri': '/',
    'X-Forwarded-Method': 'GET',
  });

  test('at forward-auth are one line for each host and reason, and one with the count', async () => {
    await using server = await startServer(trusted, { log: log() });
    const verify = (headers: Record<string, string>) => sendRaw(server.url, 'GET /api/v1/auth/verify', { headers });
    for (const host of ['a.example', 'b.example']) {
      for (let index = 0; index < 20; index++) expect((await verify(at(host))).status).toBe(401);
    }
    for (let index = 0; index < 5; index++) await verify({ ...at('a.example'), Authorization: 'Bearer bct_canary' });
    await server.restart();
    const lines = written().filter(({ msg }) => msg.startsWith('forward-auth: refused'));
    const ended = 'the session or token has ended, or is not valid here';
    expect(lines.map(({ host, reason, more }) => [host, reason, more])).toEqual([
      ['a.example', 'no credential', undefined],
      ['b.example', 'no credential', undefined],
      ['a.example', ended, undefined],
      ['a.example', 'no credential', 19],
      ['b.example', 'no credential', 19],
      ['a.example', ended, 4],
    ]);
    expect(lines[0]).toMatchObject({ level: 'info', ip: '127.0.0.1', requestId: expect.any(String) });
    expect(lines[3]?.msg).toBe('forward-auth: refused: and 19 more within a minute');
  });

  test('at invented hosts fill neither the log nor memory', async () => {
    await using server = await startServer(trusted, { log: log() });
    for (let index = 0; index < 150; index++) {
      await sendRaw(server.url, 'GET /api/v1/auth/verify', { headers: at(`${'x'.repeat(300)}${index}.example`) });
    }
    for (let index = 0; index < 150; index++) {
      await sendRaw(server.url, 'GET /api/v1/auth/verify', { headers: at(`x${index}.example`) });
    }
    await server.restart();
    const lines = written().filter(({ msg }) => msg.startsWith('forward-auth: refused'));
    expect(lines.length).toBeLessThan(105);
    expect(Math.max(...lines.map((line) => JSON.stringify(line).length))).toBeLessThan(600);
    expect(lines.reduce((sum, { more }) => sum + (typeof more === 'number' ? more : 1), 0)).toBe(300);
  });

  test('that fail on the server are one line with a stack, and one with the count', async () => {
    await using server = await startServer({}, { log: log() });
    const client = server.client();
    await client.signIn();
    await using db = await openElsewhere(server);
    await db.run('alter table backchannel_sessions rename to elsewhere');
    server.advance(1000);
    for (let index = 0; index < 10; index++) expect((await client.rest('GET', '/auth/me')).status).toBe(500);
    for (let index = 0; index < 10; index++) expect((await client.trpc('query', 'auth.me')).status).toBe(500);
    await db.run('alter table elsewhere rename to backchannel_sessions');
    await server.restart();
    const lines = written().filter(({ level }) => level === 'error');
    expect(lines.map(({ more }) => more)).toEqual([undefined, 19]);
    expect(lines[0]).toMatchObject({ err: { stack: expect.any(String) }, requestId: expect.any(String) });
  });

  test('of any other kind are no line at all', async () => {
    await using server = await startServer({}, { log: log() });
    write.mockClear();
    const foreign = { Origin: 'https://evil.example', 'Content-Type': 'application/json' };
    for (const [line, headers] of [
      ['POST /api/v1/auth/login', foreign],
      ['POST /trpc/auth.login', foreign],
      ['POST /login', foreign],
      ['GET /api/v1/nothing', {}],
      ['GET /nothing', {}],
      ['GET /%zz', {}],
      ['TRACE /', {}],
      ['GET /api/v1/auth/me', { Authorization: 'Bearer bct_canary' }],
      ['GET /trpc/auth.me', { Cookie: 'backchannel_session=canary' }],
      ['POST /api/v1/auth/login', { 'Content-Type': 'application/json' }],
      ['POST /api/v1/auth/login', { 'Content-Type': 'text/plain' }],
    ] as const) {
      await sendRaw(server.url, line, { headers: { ...headers }, body: '{' });
    }
    expect(written()).toEqual([]);
  });
});

describe('a repeated line', () => {
  test('is logged again in the next minute, and its count at the end of each', () => {
    vi.useFakeTimers();
    using requests = openRequestLog(log());
    const refuse = () =>
      requests.repeated({ level: 'info', message: 'refused', kind: { host: 'a' }, details: { n: 1 } });
    for (const minute of [1, 2]) {
      for (let index = 0; index < 3; index++) refuse();
      vi.advanceTimersByTime(60_000);
      expect(written()).toHaveLength(minute * 2);
    }
    refuse();
    vi.advanceTimersByTime(120_000);
    const lines = written().map(({ msg, host, n, more }) => [msg, host, n, more]);
    const first = ['refused', 'a', 1, undefined];
    const count = ['refused: and 2 more within a minute', 'a', undefined, 2];
    expect(lines).toEqual([first, count, first, count, first]);
  });

  test('beyond a hundred kinds is counted without telling them apart', () => {
    using requests = openRequestLog(log());
    for (let index = 0; index < 250; index++) {
      requests.repeated({ level: 'info', message: 'refused', kind: { host: index } });
    }
    expect(written()).toHaveLength(100);
    requests[Symbol.dispose]();
    expect(written()[100]).toMatchObject({ msg: 'refused (others): and 150 more within a minute', more: 150 });
    expect(written()).toHaveLength(101);
  });

  test('is logged each time at debug', () => {
    using requests = openRequestLog(log('debug'));
    for (let index = 0; index < 3; index++) requests.repeated({ level: 'warn', message: 'refused', kind: {} });
    expect(written().map(({ level }) => level)).toEqual(['warn', 'warn', 'warn']);
  });
});
