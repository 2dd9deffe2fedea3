// What happened, as it is recorded and told.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createEvents, type EventType, eventTypes } from '../../src/services/events.ts';
import { openStore } from '../../src/store/database.ts';
import { type Face, PASSWORD, sendRaw, startServer, type TestClient, type TestServer } from '../support/harness.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const faces: Face[] = ['REST', 'tRPC'];

interface Event {
  id: string;
  at: string;
  type: EventType;
  ip: string | null;
  userAgent: string | null;
  sessionId: string | null;
  tokenId: string | null;
  detail: string | null;
}

async function signedIn(server: TestServer, password = PASSWORD): Promise<TestClient> {
  const client = server.client();
  expect((await client.rest('POST', '/auth/login', { password })).status).toBe(200);
  return client;
}

async function list(face: Face, client: TestClient, query: Record<string, string | number> = {}) {
  if (face === 'REST') {
    const search = new URLSearchParams(query as Record<string, string>);
    return (await client.rest('GET', `/auth/events?${search}`)).body;
  }
  return (await client.trpc('query', 'auth.events.list', query)).body.result.data;
}

/** Events on their own store, with a clock that the test sets. */
async function openEvents(at: number) {
  const store = await openStore({
    engine: 'sqlite',
    file: join(mkdtempSync(join(tmpdir(), 'backchannel-events-')), 'test.db'),
  });
  let now = at;
  return {
    store,
    events: createEvents(store, () => now),
    set: (to: number) => {
      now = to;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

describe('the vocabulary', () => {
  test('is all recorded, each type with who caused it and what it is about', async () => {
    await using server = await startServer({
      password: { from: 'database', builtInAllowed: true },
      loginMaxFailures: 1,
      sessionExpireMinutes: 10,
      sessionMaxLive: 50,
    });
    const expired = await signedIn(server, 'admin123');
    const expiredId = (await expired.rest('GET', '/auth/me')).body.session.id;
    server.advance(11 * MINUTE_MS);
    await server.services.cleanup.run();

    const [owner, other, leaving] = [
      await signedIn(server, 'admin123'),
      await signedIn(server, 'admin123'),
      await signedIn(server, 'admin123'),
    ];
    const idOf = async (client: TestClient) => (await client.rest('GET', '/auth/me')).body.session.id;
    const [ownId, otherId, leavingId] = [await idOf(owner), await idOf(other), await idOf(leaving)];
    await leaving.rest('POST', '/auth/logout');
    await owner.rest('DELETE', `/auth/sessions/${otherId}`);
    const { token } = (await owner.rest('POST', '/auth/tokens', { name: 'a', scope: 'read' })).body;
    await owner.rest('DELETE', `/auth/tokens/${token.id}`);
    await owner.rest('POST', '/auth/password', { current: 'admin123', new: 'a second one' });
    await owner.rest('POST', '/auth/step-up', { password: 'wrong' });
    const stranger = server.client();
    await stranger.rest('POST', '/auth/login', { password: 'wrong' });
    await stranger.rest('POST', '/auth/login', { password: 'wrong' });

    const { events } = (await list('REST', owner, { limit: 100 })) as { events: Event[] };
    const caller = { ip: '127.0.0.1', userAgent: 'node' };
    const nobody = { ip: null, userAgent: null };
    const expected: Record<EventType, Partial<Event>> = {
      'login.succeeded': { ...caller, sessionId: leavingId },
      'login.failed': { ...caller, sessionId: null },
      'login.throttled': { ...caller, sessionId: null, detail: expect.stringMatching(/^ip:127\.0\.0\.1 waits \d+ s$/) },
      logout: { ...caller, sessionId: leavingId },
      'step-up.failed': { ...caller, sessionId: ownId },
      'session.revoked': { ...caller, sessionId: otherId },
      'session.expired': { ...nobody, sessionId: expiredId },
      'password.changed': { ...caller, sessionId: ownId },
      'token.created': { ...caller, sessionId: ownId, tokenId: token.id, detail: 'read: a' },
      'token.revoked': { ...caller, tokenId: token.id, detail: 'read: a' },
      'server.started': { ...nobody, sessionId: null, tokenId: null },
    };
    for (const type of eventTypes) {
      expect(
        events.find((event) => event.type === type),
        type,
      ).toMatchObject(expected[type]);
    }
    expect(eventTypes.toSorted()).toEqual(Object.keys(expected).toSorted());
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(eventTypes));
    for (const { at } of events) expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});

describe.each(faces)('the list over %s', (face) => {
  test('pages without gaps and repeats while new events arrive', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    for (let index = 0; index < 23; index++)
      await server.services.events.recordNow({ type: 'logout', detail: `${index}` });
    const before = (await list(face, client, { limit: 100 })).events;
    const paged: Event[] = [];
    let cursor: string | null = null;
    do {
      const page = (await list(face, client, { limit: 7, ...(cursor ? { cursor } : {}) })) as {
        events: Event[];
        nextCursor: string | null;
      };
      expect(page.events.length).toBe(page.nextCursor ? 7 : 25 % 7);
      paged.push(...page.events);
      cursor = page.nextCursor;
      await server.services.events.recordNow({ type: 'login.failed' });
    } while (cursor);
    expect(paged).toEqual(before);
  });

  test('says that there is no other page when the last one is full', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    const { events } = await list(face, client);
    expect((await list(face, client, { limit: events.length })).nextCursor).toBeNull();
    const page = await list(face, client, { limit: events.length - 1 });
    expect(page.nextCursor).toBe(page.events.at(-1).id);
    const last = await list(face, client, { cursor: page.nextCursor });
    expect(last).toEqual({ events: events.slice(-1), nextCursor: null });
    expect(await list(face, client, { cursor: '0'.repeat(24) })).toEqual({ events: [], nextCursor: null });
  });

  test('is filtered by type, page by page, too', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    for (const type of ['logout', 'login.failed', 'logout', 'logout'] as const) {
      await server.services.events.recordNow({ type });
    }
    const first = await list(face, client, { type: 'logout', limit: 2 });
    const second = await list(face, client, { type: 'logout', limit: 2, cursor: first.nextCursor });
    expect([...first.events, ...second.events].map((event: Event) => event.type)).toEqual(Array(3).fill('logout'));
    expect(second.nextCursor).toBeNull();
    expect((await list(face, client, { type: 'token.revoked' })).events).toEqual([]);
  });

  test('has 50 unless told, and 100 at most', async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    for (let index = 0; index < 101; index++) await server.services.events.recordNow({ type: 'logout' });
    expect((await list(face, client)).events).toHaveLength(50);
    expect((await list(face, client, { limit: 100 })).events).toHaveLength(100);
    expect((await list(face, client, { limit: 1 })).events).toHaveLength(1);
  });

  test.each([
    ['a limit of 0', { limit: 0 }, 'limit'],
    ['a limit of 101', { limit: 101 }, 'limit'],
    ['a limit of one and a half', { limit: 1.5 }, 'limit'],
    ['a limit in words', { limit: 'ten' }, 'limit'],
    ['a type that there is not', { type: 'login' }, 'type'],
    ['a cursor that is none', { cursor: "' or 1=1" }, 'cursor'],
    ['an empty cursor', { cursor: '' }, 'cursor'],
    ['a field that there is not', { offset: 5 }, 'offset'],
  ])('refuses %s', async (_name, query, path) => {
    await using server = await startServer();
    const client = await signedIn(server);
    const search = new URLSearchParams(query as unknown as Record<string, string>);
    const { status, body } =
      face === 'REST'
        ? await client.rest('GET', `/auth/events?${search}`)
        : await client.trpc('query', 'auth.events.list', query);
    expect(status).toBe(400);
    expect((body.error?.data ?? body).issues).toEqual([{ path, message: expect.any(String) }]);
  });

  test('is for the operator', async () => {
    await using server = await startServer();
    const { status } =
      face === 'REST'
        ? await server.client().rest('GET', '/auth/events')
        : await server.client().trpc('query', 'auth.events.list');
    expect(status).toBe(401);
  });
});

describe('what a stranger can write into an event', () => {
  const login = (server: TestServer, userAgent: string, password: string) =>
    sendRaw(server.url, 'POST /api/v1/auth/login', {
      headers: { 'Content-Type': 'application/json', 'User-Agent': userAgent },
      body: JSON.stringify({ password }),
    });

  test('is a User-Agent without control characters, of 512 characters at most', async () => {
    await using server = await startServer();
    // Sent as UTF-8: Node reads each byte as a character, and of these the second ones are C1 controls.
    await login(server, `evil\u0085\u009b31m\tred ${'x'.repeat(600)}`, PASSWORD);
    const client = await signedIn(server);
    const { events } = await list('REST', client, { type: 'login.succeeded' });
    const { userAgent } = events[1];
    expect(userAgent).toHaveLength(512);
    expect(userAgent).toMatch(/^evilÂ\\u0085Â\\u009b31m\\u0009red x+$/);
    const { sessions } = (await client.rest('GET', '/auth/sessions')).body;
    expect(sessions[1].userAgent).toBe(userAgent);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(JSON.stringify([events, sessions])).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  });

  test('is a User-Agent of any bytes that HTTP lets through', async () => {
    await using server = await startServer();
    const everything = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
    const sendable = everything.replace(/[^\t\x20-\x7e\x80-\xff]/g, '');
    expect((await login(server, sendable, 'wrong')).status).toBe(401);
    const [event] = (await list('REST', await signedIn(server), { type: 'login.failed' })).events;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(event.userAgent).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    expect(event.userAgent).toContain('!"#$%&\'()*+,-./0123456789:;<=>?@ABC');
  });

  test('is nothing where there is no User-Agent', async () => {
    await using server = await startServer();
    const headers = { 'Content-Type': 'application/json', 'User-Agent': null };
    await sendRaw(server.url, 'POST /api/v1/auth/login', { headers, body: JSON.stringify({ password: 'wrong' }) });
    const [event] = (await list('REST', await signedIn(server), { type: 'login.failed' })).events;
    expect(event.userAgent).toBeNull();
  });

  test("is not in the detail of a token's event, whatever its name turns around", async () => {
    await using server = await startServer();
    const client = await signedIn(server);
    await client.rest('POST', '/auth/tokens', { name: 'abc\u202efdp.exe\u2028', scope: 'read' });
    const [event] = (await list('REST', client, { type: 'token.created' })).events;
    expect(event.detail).toBe('read: abc\\u202efdp.exe\\u2028');
  });
});

describe('the order', () => {
  test('is that of recording within one millisecond, however many there are', async () => {
    const now = Date.now();
    await using t = await openEvents(now);
    const total = 0x10000 + 10;
    const batch = Array.from({ length: total / 2 }, () => ({ type: 'logout' as const }));
    for (const half of [0, 1]) {
      await t.store.write((em) =>
        t.events.recordWithin(
          em,
          ...batch.map((each, index) => ({ ...each, detail: `${half * batch.length + index}` })),
        ),
      );
    }
    t.set(now + 2);
    await t.events.recordNow({ type: 'logout', detail: 'later' });
    const details: (string | null)[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof t.events.list>> = await t.events.list({
        limit: 20_000,
        ...(cursor ? { cursor } : {}),
      });
      details.push(...page.events.map(({ detail }) => detail));
      cursor = page.nextCursor;
    } while (cursor);
    expect(details).toHaveLength(total + 1);
    expect(details[0]).toBe('later');
    expect(details.slice(1).every((detail, index) => detail === String(total - 1 - index))).toBe(true);
  });

  test('is that of recording, also when the clock is set back', async () => {
    const now = Date.now();
    await using t = await openEvents(now);
    for (const [detail, at] of [
      ['first', now],
      ['second', now - 5000],
      ['third', now - 4000],
    ] as const) {
      t.set(at);
      await t.events.recordNow({ type: 'logout', detail });
    }
    const { events } = await t.events.list({ limit: 10 });
    expect(events.map(({ detail }) => detail)).toEqual(['third', 'second', 'first']);
  });
});

describe('the counts', () => {
  test('of sign-ins per day change at midnight UTC, and each day is there', async () => {
    const midnight = Date.UTC(2026, 2, 1);
    await using t = await openEvents(midnight);
    const times = [
      midnight - DAY_MS - 1,
      midnight - DAY_MS,
      midnight - 1,
      midnight,
      midnight + 1,
      midnight + DAY_MS - 1,
    ];
    for (const at of times) {
      t.set(at);
      await t.events.recordNow({ type: 'login.succeeded' });
      await t.events.recordNow({ type: 'login.failed' });
    }
    const lastDays = async () =>
      (await t.events.perDay('login.succeeded', 4)).map(({ date, count }) => `${date} ${count}`);
    expect(await lastDays()).toEqual(['2026-02-26 0', '2026-02-27 1', '2026-02-28 2', '2026-03-01 3']);
    t.set(midnight + DAY_MS);
    expect(await lastDays()).toEqual(['2026-02-27 1', '2026-02-28 2', '2026-03-01 3', '2026-03-02 0']);
    t.set(midnight + 4 * DAY_MS - 1);
    expect(await lastDays()).toEqual(['2026-03-01 3', '2026-03-02 0', '2026-03-03 0', '2026-03-04 0']);
    expect(await t.events.perDay('logout', 1)).toEqual([{ date: '2026-03-04', count: 0 }]);
  });

  test('of the dashboard are of 14 days, today last', async () => {
    await using server = await startServer({ sessionExpireMinutes: 3 * 24 * 60 });
    const now = server.services.clock();
    const untilMidnight = DAY_MS - (now % DAY_MS);
    // In the middle of a day, whenever this runs.
    server.advance(untilMidnight + DAY_MS / 2);
    await signedIn(server);
    await signedIn(server);
    server.advance(DAY_MS);
    const client = await signedIn(server);
    const { loginsPerDay } = (await client.rest('GET', '/client/dashboard')).body;
    const today = Math.floor(server.services.clock() / DAY_MS);
    expect(loginsPerDay).toEqual(
      Array.from({ length: 14 }, (_, index) => ({
        date: new Date((today - 13 + index) * DAY_MS).toISOString().slice(0, 10),
        count: index === 13 ? 1 : index === 12 ? 2 : 0,
      })),
    );
  });

  test('of failures are those of the last 24 hours', async () => {
    const now = Date.now();
    await using t = await openEvents(now - DAY_MS - 1);
    await t.events.recordNow({ type: 'login.failed' });
    t.set(now - DAY_MS);
    await t.events.recordNow({ type: 'login.failed' });
    t.set(now);
    await t.events.recordNow({ type: 'login.failed' });
    expect(await t.events.countSince('login.failed', now - DAY_MS)).toBe(2);
    expect(await t.events.lastAt('login.failed')).toBe(now);
    expect(await t.events.lastAt('logout')).toBeNull();
  });
});

describe('what is older than EVENT_RETENTION_DAYS', () => {
  test('is deleted, and nothing else', async () => {
    await using server = await startServer({ eventRetentionDays: 30 });
    const { events, cleanup } = server.services;
    await events.recordNow({ type: 'logout', detail: 'old' });
    server.advance(DAY_MS);
    await events.recordNow({ type: 'logout', detail: 'young' });
    server.advance(29.5 * DAY_MS);
    await cleanup.run();
    const left = async () => (await events.list({ limit: 10, type: 'logout' })).events.map(({ detail }) => detail);
    expect(await left()).toEqual(['young']);
    server.advance(DAY_MS);
    await cleanup.run();
    expect(await left()).toEqual([]);
  });

  test('is deleted to the millisecond', async () => {
    const at = Date.UTC(2026, 0, 1);
    await using t = await openEvents(at);
    for (const each of [at - 1, at, at + 1]) {
      t.set(each);
      await t.events.recordNow({ type: 'logout', detail: String(each - at) });
    }
    expect(await t.events.deleteBefore(at, 10)).toBe(1);
    expect((await t.events.list({ limit: 10 })).events.map(({ detail }) => detail)).toEqual(['1', '0']);
    expect(await t.events.deleteBefore(at, 10)).toBe(0);
    expect(await t.events.deleteBefore(at + 2, 1)).toBe(1);
    expect((await t.events.list({ limit: 10 })).events.map(({ detail }) => detail)).toEqual(['1']);
  });
});
