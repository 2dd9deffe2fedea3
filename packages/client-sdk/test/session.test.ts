import { expect, test } from 'vitest';
import { PASSWORD, startServer } from '../../server/test/support/harness.ts';
import { createBackchannelClient } from '../src/index.ts';
import { failureOf, openStandInFor } from './stand-in.ts';

const signedOut = { result: { data: { authenticated: false, expiresAt: null } } };

test('a client stays signed in from login to logout', async () => {
  await using server = await startServer();
  const bc = createBackchannelClient({ url: server.url });
  expect(await bc.auth.status.query()).toEqual({ authenticated: false, expiresAt: null });
  expect(await bc.auth.login.mutate({ password: PASSWORD })).toMatchObject({ authenticated: true });
  const { method, session } = await bc.auth.me.query();
  expect({ method, session }).toMatchObject({ method: 'session', session: { current: true, remembered: false } });
  expect(await bc.client.protected.query()).toEqual({ message: 'You are signed in.' });
  expect(await bc.auth.logout.mutate()).toMatchObject({ authenticated: false });
  expect(await failureOf(bc.auth.me.query())).toMatchObject({ code: 'UNAUTHORIZED' });
});

test('signing in again replaces the session', async () => {
  await using server = await startServer();
  const bc = createBackchannelClient({ url: server.url });
  const sessionId = async () => {
    await bc.auth.login.mutate({ password: PASSWORD });
    return (await bc.auth.me.query()).session?.id;
  };
  expect(await sessionId()).not.toBe(await sessionId());
});

test('two clients of one server have separate sessions', async () => {
  await using server = await startServer();
  const [one, other] = [server.url, new URL(server.url)].map((url) => createBackchannelClient({ url }));
  await one?.auth.login.mutate({ password: PASSWORD });
  expect(await one?.auth.status.query()).toMatchObject({ authenticated: true });
  expect(await other?.auth.status.query()).toMatchObject({ authenticated: false });
});

test('each call is one request, and queries use GET', async () => {
  await using server = await openStandInFor(200, signedOut);
  const bc = createBackchannelClient({ url: server.url });
  await Promise.all([bc.auth.status.query(), bc.auth.status.query(), bc.auth.logout.mutate()]);
  expect(server.requests.map(({ method, url }) => `${method} ${url}`).sort()).toEqual([
    'GET /trpc/auth.status',
    'GET /trpc/auth.status',
    'POST /trpc/auth.logout',
  ]);
});

test('a token is sent as a bearer token, without cookies', async () => {
  await using server = await openStandInFor(200, signedOut, { 'Set-Cookie': 'backchannel_session=x; Path=/' });
  const bc = createBackchannelClient({ url: server.url, token: 'bct_secret\n' });
  await bc.auth.status.query();
  await bc.auth.logout.mutate();
  for (const { headers } of server.requests) {
    expect(headers.authorization).toBe('Bearer bct_secret');
    expect(headers.cookie).toBeUndefined();
  }
  expect(server.requests).toHaveLength(2);
});

test('several cookies are kept, and each is sent until it is deleted', async () => {
  let setCookie: string[] = ['a=1; Path=/; HttpOnly', 'b=2; Path=/; Max-Age=600'];
  const bc = createBackchannelClient({
    url: 'http://backchannel.test',
    fetch: async (_input, init) => {
      sent.push(new Headers(init?.headers).get('cookie'));
      const headers = setCookie.map((line): [string, string] => ['set-cookie', line]);
      return Response.json(signedOut, { headers });
    },
  });
  const sent: (string | null)[] = [];
  await bc.auth.status.query();
  setCookie = ['a=; Path=/; Max-Age=0'];
  await bc.auth.status.query();
  setCookie = [];
  await bc.auth.status.query();
  expect(sent).toEqual([null, 'a=1; b=2', 'b=2']);
});

test('an injected fetch sends every request, with `credentials` for browsers', async () => {
  await using server = await startServer();
  const calls: { url: string; init: RequestInit | undefined }[] = [];
  const options = {
    url: server.url,
    fetch: (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
      calls.push({ url: String(input), init });
      return fetch(input, init);
    },
  };
  const bc = createBackchannelClient(options);
  await bc.auth.login.mutate({ password: PASSWORD });
  await bc.auth.me.query();
  await failureOf(createBackchannelClient({ ...options, token: 'bct_none' }).auth.me.query());
  expect(calls.map(({ url }) => url.slice(server.url.length))).toEqual([
    '/trpc/auth.login',
    '/trpc/auth.me',
    '/trpc/auth.me',
  ]);
  expect(calls.map(({ init }) => init?.credentials)).toEqual(['include', 'include', 'omit']);
});

test('without an injected fetch, the current global fetch is used', async () => {
  const bc = createBackchannelClient({ url: 'http://backchannel.test' });
  const real = globalThis.fetch;
  try {
    globalThis.fetch = async () => Response.json(signedOut);
    expect(await bc.auth.status.query()).toEqual({ authenticated: false, expiresAt: null });
  } finally {
    globalThis.fetch = real;
  }
});

test.each([
  'localhost:8000',
  'backchannel.test',
  '',
  'ftp://backchannel.test',
  'http://backchannel.test/trpc',
  'http://backchannel.test/?x=1',
  'http://operator:hunter2@backchannel.test',
])('an invalid address is rejected at once: %s', (url) => {
  const create = () => createBackchannelClient({ url });
  expect(create).toThrow(TypeError);
  expect(create).toThrow(/^url: (?!.*hunter2)/);
});

test('an invalid token and an invalid time limit are rejected at once', () => {
  const url = 'http://backchannel.test';
  for (const token of ['', ' ', 'bct_a b', 'bct_a\nb', 'bct_…']) {
    expect(() => createBackchannelClient({ url, token })).toThrow(/^token: (?!.*bct_)/);
  }
  for (const timeoutMs of [0, -1, Number.NaN, 2 ** 31]) {
    expect(() => createBackchannelClient({ url, timeoutMs })).toThrow(/^timeoutMs: /);
  }
});
