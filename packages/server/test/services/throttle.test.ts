// Wrong passwords: how many, from where, how long to wait then, and what none of it may cost the owner.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { createLog } from '../../src/log.ts';
import { createEvents, type EventType } from '../../src/services/events.ts';
import { hashPassword } from '../../src/services/password/hashing.ts';
import { createThrottle, type Origin } from '../../src/services/throttle.ts';
import { occupyPasswordCheck, oneAtATime } from '../support/busy.ts';
import { cookieValue } from '../support/cookies.ts';
import { refuseInserts, rowsAtRest, tearTable } from '../support/elsewhere.ts';
import {
  type Answer,
  engine,
  type Face,
  openTestStore,
  PASSWORD,
  startServer,
  type TestClient,
  type TestServer,
  testOnSqlite,
} from '../support/harness.ts';
import { holdNext } from '../support/hold.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const WRONG = 'not the password';
const faces: Face[] = ['REST', 'tRPC'];

/** Every address is believed: each test says where its callers are. */
const behindProxy: Partial<Config> = { trustedProxies: ['127.0.0.1'] };
const from = (ip: string) => ({ 'x-forwarded-for': ip });

const login = (client: TestClient, password = WRONG, headers: Record<string, string> = {}) =>
  client.rest('POST', '/auth/login', { password }, headers);
const loginBy = (face: Face, client: TestClient, password = WRONG) =>
  face === 'REST' ? login(client, password) : client.trpc('mutation', 'auth.login', { password });

/** The statuses of wrong tries, one after the other. */
async function failTimes(times: number, client: TestClient, headers: Record<string, string> = {}): Promise<number[]> {
  const statuses: number[] = [];
  for (let n = 0; n < times; n++) statuses.push((await login(client, WRONG, headers)).status);
  return statuses;
}

const countOf = (statuses: number[], status: number) => statuses.filter((each) => each === status).length;

async function eventsOf(server: TestServer, type: EventType) {
  return (await server.services.events.list({ limit: 100, type })).events;
}

/** What is counted of a source. */
async function counted(server: TestServer, source: string) {
  return (await server.services.throttle.list()).find((each) => each.source === source);
}
const failuresOf = async (server: TestServer, source: string) => (await counted(server, source))?.failures ?? 0;

/** A browser that has nothing but this in its jar. */
function withCookie(server: TestServer, name: string, value: string): TestClient {
  const client = server.client();
  client.cookie = `${name}=${value}`;
  return client;
}

/** The secret inside a token: what a forger would need. */
const secretIn = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;

describe('after five wrong passwords', () => {
  test.each(faces)('the sixth try is 429 and says how long to wait, the right one too: %s', async (face) => {
    await using server = await startServer();
    const client = server.client();
    for (const _ of [1, 2, 3, 4, 5]) expect((await loginBy(face, client)).status).toBe(401);
    for (const password of [WRONG, PASSWORD]) {
      const refused = await loginBy(face, client, password);
      const retryAfter = refused.headers.get('retry-after');
      expect(refused.status).toBe(429);
      expect(Number(retryAfter)).toBeGreaterThan(0);
      expect(Number(retryAfter)).toBeLessThanOrEqual(30);
      expect(refused.headers.getSetCookie()).toEqual([]);
      const said = {
        code: 'TOO_MANY_REQUESTS',
        ...(face === 'tRPC' ? { httpStatus: 429, retryAfterSeconds: Number(retryAfter) } : {}),
      };
      expect(refused.body.error?.data ?? refused.body).toEqual(
        face === 'tRPC' ? said : { ...said, message: expect.stringContaining(`${retryAfter} s`) },
      );
    }
  });

  test('each further one doubles the wait, up to the window, and it stays there', async () => {
    await using server = await startServer({ loginWindowMinutes: 15 });
    const client = server.client();
    await failTimes(4, client);
    expect((await counted(server, 'ip:127.0.0.1'))?.waitsUntil).toBeNull();
    for (const seconds of [30, 60, 120, 240, 480, 900, 900, 900]) {
      expect(await failTimes(2, client)).toEqual([401, 429]);
      const row = await counted(server, 'ip:127.0.0.1');
      expect((row?.waitsUntil ?? 0) - (row?.lastAt ?? 0)).toBe(seconds * SECOND_MS);
      server.advance(seconds * SECOND_MS);
    }
  });

  test('a source is forgotten when it has been free to try for a window and did not', async () => {
    await using server = await startServer({ loginWindowMinutes: 15 });
    const client = server.client();
    await failTimes(5, client);
    server.advance(30 * SECOND_MS + 14 * MINUTE_MS);
    expect(await failTimes(2, client)).toEqual([401, 429]);
    server.advance(MINUTE_MS + 15 * MINUTE_MS);
    expect(await server.services.throttle.list()).toEqual([]);
    expect(await failTimes(6, client)).toEqual([401, 401, 401, 401, 401, 429]);
  });

  test('a refused try neither counts nor makes the wait longer', async () => {
    await using server = await startServer();
    const client = server.client();
    await failTimes(5, client);
    const before = await server.services.throttle.list();
    server.advance(10 * SECOND_MS);
    expect(countOf(await failTimes(20, client), 429)).toBe(20);
    expect(await server.services.throttle.list()).toEqual(before);
    server.advance(20 * SECOND_MS);
    expect(await failTimes(1, client)).toEqual([401]);
  });

  test('four and a right one are forgiven; what unknown devices share keeps the four', async () => {
    await using server = await startServer();
    for (const _ of [1, 2, 3]) {
      const client = server.client();
      expect(await failTimes(4, client)).toEqual([401, 401, 401, 401]);
      expect((await login(client, PASSWORD)).status).toBe(200);
      expect(await failuresOf(server, 'ip:127.0.0.1')).toBe(0);
    }
    expect(await failuresOf(server, 'unknown-devices')).toBe(12);
  });

  test('LOGIN_MAX_FAILURES and LOGIN_WINDOW_MINUTES are what they say', async () => {
    await using server = await startServer({ loginMaxFailures: 2, loginWindowMinutes: 1 });
    const client = server.client();
    expect(await failTimes(3, client)).toEqual([401, 401, 429]);
    for (const seconds of [30, 60, 60]) {
      server.advance(seconds * SECOND_MS);
      expect(await failTimes(2, client)).toEqual([401, 429]);
    }
  });

  test('a restart forgets nothing, and two servers on one folder count together', async () => {
    await using one = await startServer();
    await using two = await startServer({}, { dataDir: one.config.dataDir });
    expect(await failTimes(2, one.client())).toEqual([401, 401]);
    await one.restart();
    expect(await failTimes(2, two.client())).toEqual([401, 401]);
    expect(await failTimes(2, one.client())).toEqual([401, 429]);
    expect(await failTimes(1, two.client())).toEqual([429]);
    await one.restart();
    expect(await failTimes(1, one.client())).toEqual([429]);
  });
});

describe('with a clock that stands still', () => {
  /** A throttle without HTTP. `attempt` counts a failure from an address; both return the seconds to wait. */
  const openThrottle = async (limits: { loginMaxFailures: number; loginWindowMinutes: number }) => {
    const store = await openTestStore();
    let now = Date.now();
    const clock = () => now;
    const throttle = createThrottle({ config: limits, store, events: createEvents(store, clock), clock });
    const origin = (ip: string): Origin => ({ deviceId: null, caller: { ip, userAgent: null }, sessionId: null });
    return {
      throttle,
      advance: (ms: number) => {
        now += ms;
      },
      attempt: async (ip: string) => {
        const answer = await store.write((em) => throttle.admitWithin(em, origin(ip)));
        return answer.outcome === 'throttled' ? answer.retryAfterSeconds : null;
      },
      refusal: async (ip: string) => (await throttle.refusal(origin(ip)))?.retryAfterSeconds ?? null,
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  };

  test('a wait is given in seconds, rounded up, and ends to the millisecond', async () => {
    await using t = await openThrottle({ loginMaxFailures: 1, loginWindowMinutes: 15 });
    expect(await t.attempt('198.51.100.1')).toBeNull();
    expect(await t.refusal('198.51.100.1')).toBe(30);
    t.advance(1);
    expect(await t.refusal('198.51.100.1')).toBe(30);
    t.advance(29_998);
    expect([await t.refusal('198.51.100.1'), await t.attempt('198.51.100.1')]).toEqual([1, 1]);
    t.advance(1);
    expect([await t.refusal('198.51.100.1'), await t.attempt('198.51.100.1')]).toEqual([null, null]);
  });

  test('an attempt that several counts delay waits for the longest', async () => {
    await using t = await openThrottle({ loginMaxFailures: 1, loginWindowMinutes: 15 });
    for (const network of [1, 2, 3, 4]) {
      t.advance(5 * SECOND_MS);
      expect(await t.attempt(`2001:db8:1:${network}::1`)).toBeNull();
    }
    // Its own network waits for 15 s more, and the /48 for 30 s.
    expect(await t.refusal('2001:db8:1:1::1')).toBe(30);
    expect(await t.attempt('2001:db8:1:1::1')).toBe(30);
  });

  test('the count that unknown devices share starts again one window after its first failure', async () => {
    await using t = await openThrottle({ loginMaxFailures: 5, loginWindowMinutes: 15 });
    const shared = async () => (await t.throttle.list()).find(({ source }) => source === 'unknown-devices')?.failures;
    await t.attempt('198.51.100.1');
    t.advance(15 * MINUTE_MS - 1);
    await t.attempt('198.51.100.2');
    expect(await shared()).toBe(2);
    t.advance(1);
    await t.attempt('198.51.100.3');
    expect(await shared()).toBe(1);
  });

  test('a source is deleted when the longest wait and one window after it have passed', async () => {
    await using t = await openThrottle({ loginMaxFailures: 1, loginWindowMinutes: 15 });
    await t.attempt('198.51.100.1');
    t.advance(2 * 15 * MINUTE_MS - 1);
    expect(await t.throttle.deleteStale(100)).toBe(0);
    t.advance(1);
    expect(await t.throttle.deleteStale(100)).toBe(2);
  });
});

describe('however the tries come', () => {
  test('sixteen clients at once from one address get exactly five checks', async () => {
    await using server = await startServer();
    const verify = vi.spyOn(server.services.password, 'verify');
    const answers = await Promise.all(Array.from({ length: 16 }, () => login(server.client())));
    const statuses = answers.map((answer) => answer.status);
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([5, 11]);
    expect(verify).toHaveBeenCalledTimes(5);
    expect(await failuresOf(server, 'ip:127.0.0.1')).toBe(5);
    expect(await failuresOf(server, 'unknown-devices')).toBe(5);
    expect(await eventsOf(server, 'login.failed')).toHaveLength(5);
    expect(await eventsOf(server, 'login.throttled')).toHaveLength(1);
  });

  test('two servers on one folder, asked at once, do no more checks than one', async () => {
    await using one = await startServer();
    await using two = await startServer({}, { dataDir: one.config.dataDir });
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, index) => login((index % 2 === 0 ? one : two).client())),
    );
    const statuses = answers.map((answer) => answer.status);
    expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([5, 11]);
  });

  const batch = (client: TestClient, calls: [name: string, input: unknown][]) =>
    client.trpc(
      'mutation',
      `${calls.map(([name]) => name).join(',')}?batch=1`,
      Object.fromEntries(calls.map(([, input], index) => [index, input])),
    );
  const codesOf = (answer: Answer): string[] =>
    answer.body.map((each: { error?: { data: { code: string } } }) => each.error?.data.code ?? 'good');
  const tally = (codes: string[]) =>
    Object.fromEntries(codes.map((code) => [code, codes.filter((c) => c === code).length]));

  test('a batch of ten logins is ten tries', async () => {
    await using server = await startServer();
    const answer = await batch(
      server.client(),
      Array.from({ length: 10 }, () => ['auth.login', { password: WRONG }]),
    );
    expect(tally(codesOf(answer))).toEqual({ UNAUTHORIZED: 5, TOO_MANY_REQUESTS: 5 });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await login(server.client(), PASSWORD)).status).toBe(429);
  });

  test('step-up and password change count like a login, alone, in a batch, and together', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    expect((await client.rest('POST', '/auth/step-up', { password: WRONG })).status).toBe(403);
    expect((await client.rest('POST', '/auth/password', { current: WRONG, new: 'another one' })).status).toBe(403);
    const answer = await batch(client, [
      ...Array.from({ length: 5 }, () => ['auth.stepUp', { password: WRONG }] as [string, unknown]),
      ...Array.from(
        { length: 5 },
        () => ['auth.changePassword', { current: WRONG, new: 'another one' }] as [string, unknown],
      ),
    ]);
    expect(tally(codesOf(answer))).toEqual({ FORBIDDEN: 3, TOO_MANY_REQUESTS: 7 });
    const refused = [
      await client.rest('POST', '/auth/step-up', { password: PASSWORD }),
      await client.rest('POST', '/auth/password', { current: PASSWORD, new: 'another one' }),
      await login(client, PASSWORD),
    ];
    expect(refused.map((each) => each.status)).toEqual([429, 429, 429]);
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });

  test('guesses with a stolen session count for the attacker, not for the owner', async () => {
    await using server = await startServer(behindProxy);
    const owner = server.client();
    await owner.signIn();
    const attacker = withCookie(server, 'backchannel_session', cookieValue(owner.cookie, 'backchannel_session'));
    const guess = () => attacker.rest('POST', '/auth/step-up', { password: WRONG }, from('198.51.100.66'));
    for (const expected of [403, 403, 403, 403, 403, 429]) expect((await guess()).status).toBe(expected);
    expect((await owner.rest('POST', '/auth/step-up', { password: PASSWORD })).status).toBe(200);
  });

  test('a right step-up, and a right current password, forgive like a login', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const tries = [
      () => client.rest('POST', '/auth/step-up', { password: PASSWORD }),
      () => client.rest('POST', '/auth/password', { current: PASSWORD, new: 'another one' }),
    ];
    for (const right of tries) {
      for (const _ of [1, 2, 3, 4]) await client.rest('POST', '/auth/step-up', { password: WRONG });
      expect((await server.services.throttle.list())[0]?.failures).toBe(4);
      // 409 for the second: the environment sets this server's password.
      expect([200, 409]).toContain((await right()).status);
      expect(await server.services.throttle.list()).toEqual([]);
    }
  });

  test.each<[string, unknown, Record<string, string>?]>([
    ['an empty password', { password: '' }],
    ['73 bytes', { password: 'x'.repeat(73) }],
    ['a NUL', { password: 'a\0b' }],
    ['no password', {}],
    ['a number', { password: 12_345 }],
    ['an unknown field', { password: WRONG, user: 'admin' }],
    ['a page of another site', { password: WRONG }, { 'sec-fetch-site': 'cross-site' }],
    ['another media type', { password: WRONG }, { 'content-type': 'text/plain' }],
  ])('%s is refused before it is a try, and not counted', async (_name, body, headers = {}) => {
    await using server = await startServer();
    const [known, stranger] = [server.client(), server.client()];
    await known.signIn();
    for (const _ of [1, 2, 3, 4, 5, 6]) {
      for (const [client, path] of [
        [known, '/auth/login'],
        [known, '/auth/step-up'],
        [stranger, '/auth/login'],
      ] as const) {
        expect([400, 403, 415]).toContain((await client.rest('POST', path, body, headers)).status);
      }
    }
    expect(await server.services.throttle.list()).toEqual([]);
    expect(await eventsOf(server, 'login.failed')).toEqual([]);
  });
});

describe('by address', () => {
  test('each IPv4 address is counted on its own', async () => {
    await using server = await startServer(behindProxy);
    expect(countOf(await failTimes(6, server.client(), from('198.51.100.1')), 401)).toBe(5);
    expect(await failTimes(1, server.client(), from('198.51.100.2'))).toEqual([401]);
  });

  test('IPv4 in IPv6 is the same address in every spelling', async () => {
    await using server = await startServer(behindProxy);
    for (const ip of [
      '198.51.100.7',
      '::ffff:198.51.100.7',
      '::FFFF:c633:6407',
      '0:0:0:0:0:ffff:198.51.100.7',
      '198.51.100.7:4711',
    ]) {
      expect(await failTimes(1, server.client(), from(ip))).toEqual([401]);
    }
    expect(await failTimes(1, server.client(), from('::ffff:198.51.100.7'))).toEqual([429]);
    expect(await failuresOf(server, 'ip:198.51.100.7')).toBe(5);
  });

  test('IPv6 is counted by its /64', async () => {
    await using server = await startServer(behindProxy);
    for (const ip of [
      '2001:db8:1:2::1',
      '2001:db8:1:2::2',
      '2001:DB8:1:2:3:4:5:6',
      '[2001:db8:1:2::3]:80',
      '2001:db8:1:2::',
    ]) {
      expect(await failTimes(1, server.client(), from(ip))).toEqual([401]);
    }
    expect(await failTimes(1, server.client(), from('2001:db8:1:2:ffff::9'))).toEqual([429]);
    expect(await failTimes(1, server.client(), from('2001:db8:1:3::1'))).toEqual([401]);
    expect(await failuresOf(server, 'ip:2001:db8:1:2::/64')).toBe(5);
  });

  test('and at four times the limit by its /48', async () => {
    await using server = await startServer({ ...behindProxy, loginMaxFailures: 2 });
    const networks = Array.from({ length: 8 }, (_, index) => `2001:db8:1:${(index + 1).toString(16)}::1`);
    for (const ip of networks) expect(await failTimes(1, server.client(), from(ip))).toEqual([401]);
    expect(await failTimes(1, server.client(), from('2001:db8:1:ffff::1'))).toEqual([429]);
    expect(await failTimes(1, server.client(), from('2001:db8:2:1::1'))).toEqual([401]);
    expect(await failuresOf(server, 'ip:2001:db8:1::/48')).toBe(8);
  });

  test('unknown devices together fail a hundred times in a window at most, and a known one still signs in', async () => {
    await using server = await startServer(behindProxy);
    const owner = server.client();
    await owner.signIn();
    for (let block = 0; block < 10; block++) {
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) => login(server.client(), WRONG, from(`198.51.${block}.${n}`))),
      );
      expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 10 }, () => 401));
    }
    for (const ip of ['203.0.113.1', '2001:db8::1', '127.0.0.1']) {
      const refused = await login(server.client(), PASSWORD, from(ip));
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(30);
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(15 * 60);
    }
    expect(await failuresOf(server, 'ip:203.0.113.1')).toBe(0);
    expect((await login(owner, PASSWORD)).status).toBe(200);
    expect((await owner.rest('POST', '/auth/step-up', { password: PASSWORD })).status).toBe(200);
    expect(await eventsOf(server, 'login.throttled')).toHaveLength(1);

    server.advance(15 * MINUTE_MS);
    expect((await login(server.client(), PASSWORD, from('203.0.113.1'))).status).toBe(200);
  });
});

describe('a browser that has signed in before', () => {
  test('is counted on its own, and waits on its own', async () => {
    await using server = await startServer();
    const [owner, other] = [server.client(), server.client()];
    await owner.signIn();
    await other.signIn();
    expect(countOf(await failTimes(7, server.client()), 401)).toBe(5);
    expect((await login(server.client(), PASSWORD)).status).toBe(429);

    expect(await failTimes(6, owner)).toEqual([401, 401, 401, 401, 401, 429]);
    expect(await failuresOf(server, 'unknown-devices')).toBe(5);
    expect((await login(other, PASSWORD)).status).toBe(200);
    server.advance(30 * SECOND_MS);
    expect((await login(owner, PASSWORD)).status).toBe(200);
    expect(await failTimes(1, owner)).toEqual([401]);
  });

  test('forgives itself alone when it signs in', async () => {
    await using server = await startServer();
    const owner = server.client();
    await owner.signIn();
    await failTimes(4, server.client());
    await failTimes(4, owner);
    expect((await login(owner, PASSWORD)).status).toBe(200);
    expect(await failTimes(2, server.client())).toEqual([401, 429]);
  });

  test('is counted on its own for step-up and password change, too', async () => {
    await using server = await startServer();
    const owner = server.client();
    await owner.signIn();
    await failTimes(6, server.client());
    for (const expected of [403, 403, 403, 403, 403, 429]) {
      expect((await owner.rest('POST', '/auth/password', { current: WRONG, new: 'another one' })).status).toBe(
        expected,
      );
    }
    expect(await failuresOf(server, 'ip:127.0.0.1')).toBe(5);
  });
});

describe('events', () => {
  test('a failure is recorded with where it came from, a step-up with its session as well', async () => {
    await using server = await startServer(behindProxy);
    const headers = { ...from('198.51.100.7'), 'user-agent': 'curl/8.5.0 \u009b' };
    const client = server.client();
    await failTimes(1, client, headers);
    await client.signIn();
    const { id } = (await client.rest('GET', '/auth/me')).body.session;
    await client.rest('POST', '/auth/step-up', { password: WRONG }, headers);
    await client.rest('POST', '/auth/password', { current: WRONG, new: 'another one' }, headers);
    const caller = { ip: '198.51.100.7', userAgent: 'curl/8.5.0 \\u009b', tokenId: null, detail: null };
    expect(await eventsOf(server, 'login.failed')).toEqual([expect.objectContaining({ ...caller, sessionId: null })]);
    expect(await eventsOf(server, 'step-up.failed')).toEqual([
      expect.objectContaining({ ...caller, sessionId: id }),
      expect.objectContaining({ ...caller, sessionId: id }),
    ]);
  });

  test('a refusal is recorded once for each source and wait, by the first of two servers that refuses', async () => {
    await using one = await startServer(behindProxy);
    await using two = await startServer(behindProxy, { dataDir: one.config.dataDir });
    const stranger = { ...from('198.51.100.7'), 'user-agent': 'curl/8.5.0' };
    const details = async () => (await eventsOf(one, 'login.throttled')).map(({ detail }) => detail);
    await failTimes(5, one.client(), stranger);
    await failTimes(3, one.client(), stranger);
    await failTimes(3, two.client(), stranger);
    await Promise.all([one, two, one, two].map((server) => login(server.client(), WRONG, stranger)));
    expect(await details()).toEqual([expect.stringMatching(/^ip:198\.51\.100\.7 waits (30|2\d) s$/)]);

    for (const server of [one, two]) server.advance(30 * SECOND_MS);
    expect(await failTimes(3, two.client(), stranger)).toEqual([401, 429, 429]);
    expect(await details()).toHaveLength(2);

    const owner = one.client();
    await owner.signIn();
    const { id } = (await owner.rest('GET', '/auth/me')).body.session;
    for (const _ of [1, 2, 3, 4, 5, 6, 7]) {
      await owner.rest('POST', '/auth/step-up', { password: WRONG }, { 'user-agent': 'the owner' });
    }
    expect((await eventsOf(one, 'login.throttled'))[0]).toMatchObject({
      ip: '127.0.0.1',
      userAgent: 'the owner',
      sessionId: id,
      detail: expect.stringMatching(/^device:[\w-]{43} waits /),
    });
    expect(await details()).toHaveLength(3);
  });

  test('a refusal is recorded also where it comes only when it is the turn of a try', async () => {
    await using server = await startServer();
    const client = { ip: '198.51.100.7', userAgent: null };
    const { gate, throttle } = server.services;
    const admit = () =>
      gate.writeRevoking((em) => throttle.admitWithin(em, { deviceId: null, caller: client, sessionId: null }));
    const outcomes: string[] = [];
    for (let n = 0; n < 8; n++) {
      outcomes.push((await admit()).outcome);
    }
    expect(outcomes).toEqual([...Array(5).fill('admitted'), ...Array(3).fill('throttled')]);
    expect(await eventsOf(server, 'login.throttled')).toEqual([expect.objectContaining({ ip: '198.51.100.7' })]);
  });

  test('a refused try is no failure', async () => {
    await using server = await startServer();
    await failTimes(9, server.client());
    expect(await eventsOf(server, 'login.failed')).toHaveLength(5);
    expect(await server.services.events.countSince('login.failed', 0)).toBe(5);
  });
});

describe('when more passwords come than can be checked', () => {
  const tight = { ...behindProxy, ...oneAtATime };
  const waiting = (server: TestServer) => server.services.hashing.figures().waiting;

  test('sixteen wait in each lane; further attempts are rejected at once and have not failed', async () => {
    await using server = await startServer(tight);
    const owner = server.client();
    await owner.signIn();
    const occupied = await occupyPasswordCheck(server);
    const turnedAway: Answer[] = [];
    const isFull = Promise.withResolvers<void>();
    const strangers = Array.from({ length: 20 }, async (_, n) => {
      const headers = from(`198.51.100.${n}`);
      const client = server.client();
      const answer = await (n % 2 === 0
        ? login(client, WRONG, headers)
        : client.trpc('mutation', 'auth.login', { password: WRONG }, headers));
      if (answer.status === 503) turnedAway.push(answer);
      if (turnedAway.length === 4) isFull.resolve();
      return answer.status;
    });
    await isFull.promise;
    // While strangers fill their lane, the owner has a place.
    const ownLogin = login(owner, PASSWORD);
    await expect
      .poll(() => waiting(server), { interval: 5 })
      .toMatchObject({ 'known-device': 1, 'unknown-device': 16 });
    await occupied.release();
    expect((await ownLogin).status).toBe(200);
    for (const { headers, body } of turnedAway) {
      const retryAfterSeconds = Number(headers.get('retry-after'));
      expect(retryAfterSeconds).toBeOneOf([2, 3, 4, 5, 6, 7, 8, 9]);
      const { code, message, data } = body.error ?? body;
      expect(message).toContain('Too many passwords');
      expect(data ?? { code }).toEqual(
        data ? { code: 'SERVICE_UNAVAILABLE', httpStatus: 503, retryAfterSeconds } : { code: 'SERVICE_UNAVAILABLE' },
      );
    }
    const statuses = await Promise.all(strangers);
    expect([countOf(statuses, 401), countOf(statuses, 503)]).toEqual([16, 4]);
    expect(await failuresOf(server, 'unknown-devices')).toBe(16);
    expect(await eventsOf(server, 'login.failed')).toHaveLength(16);
    expect((await server.services.throttle.list()).filter(({ source }) => source.startsWith('ip:'))).toHaveLength(16);
  });

  // A lock would keep the table from being torn, so this one hashes. It does not depend on the engine.
  testOnSqlite('a flood is sent away without asking the database', async () => {
    const hash = await hashPassword(PASSWORD, { cost: 4 });
    const password = { from: 'MASTER_PASSWORD_HASH', hash } as const;
    await using server = await startServer({ ...tight, bcryptCost: 14, password });
    // All strangers share this count, so asking for it reads the table.
    expect(await failTimes(1, server.client())).toEqual([401]);
    const busy = server.services.password.hash('x');
    const isFull = Promise.withResolvers<void>();
    const strangers = Array.from({ length: 17 }, async (_, n) => {
      const { status } = await login(server.client(), WRONG, from(`198.51.100.${n}`));
      if (status === 503) isFull.resolve();
      return status;
    });
    await isFull.promise;
    const torn = await tearTable(server, 'throttle');
    const turnedAway = await Promise.all(
      Array.from({ length: 30 }, (_, n) => login(server.client(), WRONG, from(`192.0.2.${n}`))),
    );
    await torn.mend();
    for (const { status, body } of turnedAway) {
      expect([status, body.message]).toEqual([503, expect.stringContaining('Too many passwords')]);
    }
    // Not all at the same time again.
    expect(new Set(turnedAway.map((answer) => answer.headers.get('retry-after'))).size).toBeGreaterThan(1);
    await busy;
    expect(countOf(await Promise.all(strangers), 401)).toBe(16);
  });

  test('a source that has to wait takes no place in the queue', async () => {
    await using server = await startServer(tight);
    // The sixth is refused, which is recorded once.
    expect((await failTimes(6, server.client(), from('198.51.100.1'))).at(-1)).toBe(429);
    const occupied = await occupyPasswordCheck(server);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => login(server.client(), WRONG, from('198.51.100.1'))),
    );
    await occupied.release();
    expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 429));
  });

  test('hashing has its own lane, and is rejected in the same way', async () => {
    await using server = await startServer(tight);
    const owner = server.client();
    await owner.signIn();
    const occupied = await occupyPasswordCheck(server);
    const refused: Answer[] = [];
    const isFull = Promise.withResolvers<void>();
    const answers = Array.from({ length: 20 }, async () => {
      const answer = await owner.rest('POST', '/auth/hash-password', { password: 'x' });
      if (answer.status === 503) refused.push(answer);
      if (refused.length === 4) isFull.resolve();
      return answer.status;
    });
    await isFull.promise;
    expect(waiting(server)).toEqual({ operator: 16, 'known-device': 0, 'unknown-device': 0 });
    await occupied.release();
    const statuses = await Promise.all(answers);
    expect([countOf(statuses, 200), countOf(statuses, 503)]).toEqual([16, 4]);
    for (const answer of refused) expect(answer.headers.get('retry-after')).toBe('2');
    expect(await server.services.throttle.list()).toEqual([]);
  });
});

describe('when the database fails in the middle', () => {
  const expectUnavailable = (answer: Answer) => {
    expect([answer.status, answer.body.code]).toEqual([503, 'SERVICE_UNAVAILABLE']);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.headers.getSetCookie()).toEqual([]);
  };

  test('before the count: nothing is checked and nothing is counted', async () => {
    await using server = await startServer();
    const torn = await tearTable(server, 'throttle');
    for (const password of [WRONG, PASSWORD]) expectUnavailable(await login(server.client(), password));
    const figures = server.services.attempts.figures().filter(({ count }) => count > 0);
    expect(figures).toEqual([{ purpose: 'login', outcome: 'unavailable', count: 2 }]);
    await torn.mend();
    expect(await server.services.throttle.list()).toEqual([]);
    expect(await eventsOf(server, 'login.failed')).toEqual([]);
    expect((await server.client().signIn()).status).toBe(200);
  });

  test('after a wrong one: it stays counted', async () => {
    await using server = await startServer();
    const torn = await tearTable(server, 'events');
    expectUnavailable(await login(server.client()));
    await torn.mend();
    expect(await failuresOf(server, 'ip:127.0.0.1')).toBe(1);
  });

  test('after a right one: no session, and it does not stand as a failure', async () => {
    await using server = await startServer({ loginMaxFailures: 1 });
    const torn = await tearTable(server, 'devices');
    for (const _ of [1, 2, 3]) expectUnavailable(await login(server.client(), PASSWORD));
    await torn.mend();
    expect((await server.client().signIn()).status).toBe(200);
    expect(await server.services.throttle.list()).toEqual([]);
    expect(await server.services.sessions.countLive()).toBe(1);
    expect(await eventsOf(server, 'login.succeeded')).toHaveLength(1);
  });

  test('after a right one that nobody tried again: the next count, from wherever, makes it good', async () => {
    await using server = await startServer(behindProxy);
    const torn = await tearTable(server, 'devices');
    expectUnavailable(await login(server.client(), PASSWORD, from('198.51.100.1')));
    await torn.mend();
    // A count that cannot be written forgives nothing, and forgets nothing of what is to be forgiven.
    const tornAgain = await tearTable(server, 'throttle');
    expectUnavailable(await login(server.client(), WRONG, from('198.51.100.2')));
    await tornAgain.mend();
    await failTimes(1, server.client(), from('198.51.100.2'));
    expect((await server.services.throttle.list()).map(({ source, failures }) => [source, failures]).sort()).toEqual([
      ['ip:198.51.100.2', 1],
      ['unknown-devices', 1],
    ]);
    // Once: what fails from there now is counted as ever.
    expect(await failTimes(6, server.client(), from('198.51.100.1'))).toEqual([401, 401, 401, 401, 401, 429]);
    expect(await failuresOf(server, 'unknown-devices')).toBe(6);
  });
});

test('a wrong password proves nothing, and neither does no proof at all', async () => {
  await using server = await startServer();
  const caller = { ip: '127.0.0.1', userAgent: null };
  const attempt = { purpose: 'login', caller, device: null, sessionId: null } as const;
  for (const proofs of [[{ kind: 'password', password: WRONG }], []] as const) {
    expect(await server.services.attempts.prove(attempt, proofs)).toEqual({ outcome: 'wrong' });
  }
  expect(await eventsOf(server, 'login.failed')).toHaveLength(2);
});

test('a password that stops counting while it is checked is a failed try, and opens nothing', async () => {
  await using server = await startServer({ password: { from: 'database', builtInAllowed: true } });
  const client = server.client();
  const proofs = holdNext(server.services.attempts, 'prove');
  const late = login(client, 'admin123');
  await proofs.reached;
  await server.services.passwordChange.set({ next: 'a new password', revokeTokens: false });
  proofs.release();
  expect((await late).status).toBe(401);
  expect(client.cookie).toBe('');
  expect(await failuresOf(server, 'ip:127.0.0.1')).toBe(1);
  expect(await eventsOf(server, 'login.failed')).toHaveLength(1);
  const figures = server.services.attempts.figures().filter(({ count }) => count > 0);
  expect(figures).toEqual([{ purpose: 'login', outcome: 'wrong', count: 1 }]);
  expect((await login(client, 'a new password')).status).toBe(200);
});

test('no event, no log line and no file has a password or a token of any kind', async () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const dataDir = mkdtempSync(join(tmpdir(), 'backchannel-canary-'));
  const [first, second, wrong] = ['admin123', 'canary-the-new-one', 'canary-wrong-guess'];
  const secrets = new Set([first, second, wrong]);
  const remember = (cookieHeader: string) => {
    for (const value of cookieHeader.split('; ').map((pair) => pair.replace(/^[^=]*=/, ''))) {
      if (value !== '') secrets.add(value).add(secretIn(value));
    }
  };
  for (const logFormat of ['json', 'pretty'] as const) {
    await using server = await startServer(
      { password: { from: 'database', builtInAllowed: true }, loginMaxFailures: 2 },
      { dataDir, log: createLog({ logLevel: 'trace', logFormat }) },
    );
    const current = logFormat === 'json' ? first : second;
    const client = server.client();
    for (const face of faces) {
      await loginBy(face, client, current);
      remember(client.cookie);
      for (const _ of [1, 2, 3]) await loginBy(face, server.client(), wrong);
    }
    const made = await client.rest('POST', '/auth/tokens', { name: 'canary', scope: 'full' });
    secrets.add(made.body.secret);
    await server.client().rest('GET', '/auth/me', undefined, { authorization: `Bearer ${made.body.secret}` });
    await client.rest('POST', '/auth/step-up', { password: wrong });
    await client.rest('POST', '/auth/step-up', { password: current });
    await client.rest('POST', '/auth/hash-password', { password: wrong });
    await client.rest('POST', '/auth/login', { password: wrong, [wrong]: wrong });
    await client.rest('POST', `/auth/login?password=${wrong}`, { password: wrong });
    await client.trpc('mutation', `auth.login?input=${encodeURIComponent(JSON.stringify({ password: wrong }))}`);
    // On PostgreSQL each of them waits for its time-out.
    const tables = ['devices', ...(engine === 'sqlite' ? ['throttle', 'events', 'sessions', 'passwords'] : [])];
    for (const table of tables) {
      const torn = await tearTable(server, table);
      server.advance(MINUTE_MS);
      await login(server.client(), current);
      await client.rest('POST', '/auth/password', { current, new: wrong });
      await torn.mend();
    }
    for (const table of ['passwords', 'devices', 'throttle']) {
      const refused = await refuseInserts(server, table);
      server.advance(MINUTE_MS);
      await login(server.client(), current);
      if (table === 'passwords') await client.rest('POST', '/auth/password', { current, new: wrong });
      await refused.mend();
    }
    server.advance(MINUTE_MS);
    const changed = await client.rest('POST', '/auth/password', { current, new: second });
    expect(changed.status).toBe(200);
    remember(client.cookie);
    const events = JSON.stringify(await server.services.events.list({ limit: 100 }));
    const rows = await rowsAtRest(server);
    for (const secret of secrets) expect([events, rows].filter((text) => text.includes(secret))).toEqual([]);
  }
  const log = write.mock.calls.map(([line]) => String(line)).join('');
  write.mockRestore();
  const files = readdirSync(dataDir).map((name) => [name, readFileSync(join(dataDir, name), 'latin1')] as const);
  for (const code of ['SERVICE_UNAVAILABLE', 'INTERNAL_SERVER_ERROR', 'TOO_MANY_REQUESTS']) expect(log).toContain(code);
  expect(secrets.size).toBeGreaterThan(12);
  if (engine === 'sqlite') expect(files.map(([name]) => name)).toContain('backchannel.db');
  for (const secret of secrets) {
    expect(log.includes(secret) ? `the log has ${secret}` : '').toBe('');
    for (const [name, text] of files) expect(text.includes(secret) ? `${name} has ${secret}` : '').toBe('');
  }
  // A hash of the password is for the database alone.
  expect(log).not.toMatch(/\$2[aby]\$\d\d\$/);
  rmSync(dataDir, { recursive: true, force: true });
});
