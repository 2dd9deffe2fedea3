// Runtimes and fetches that differ from Node's: caches that keep responses, headers that hide cookies, functions that are
// missing. Each stand-in behaves as the named one does.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { PASSWORD, startServer } from '../../server/test/support/harness.ts';
import { createBackchannelClient } from '../src/index.ts';
import { failureOf } from './stand-in.ts';

type Fetch = typeof fetch;
type Init = NonNullable<Parameters<Fetch>[1]> & { cache?: string };

const url = 'http://backchannel.test';
const signedOut = { result: { data: { authenticated: false, expiresAt: null } } };
const json = (body: unknown, headers: [string, string][] = []) =>
  new Response(JSON.stringify(body), { headers: [['content-type', 'application/json'], ...headers] });

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('a fetch that caches', () => {
  /** Like Next.js 14: keeps responses to GET by address and headers, unless the request says otherwise. */
  const cachingFetch = (): Fetch => {
    const kept = new Map<string, string>();
    return async (input, init: Init = {}) => {
      const isKept = init.method === 'GET' && init.cache !== 'no-store';
      const key = JSON.stringify([String(input), ...new Headers(init.headers)]);
      const text = isKept ? kept.get(key) : undefined;
      if (text !== undefined) return new Response(text, { headers: { 'content-type': 'application/json' } });
      const response = await fetch(input, init);
      if (isKept) kept.set(key, await response.clone().text());
      return response;
    };
  };

  test.each(['session', 'token'])('does not answer for a %s after its revocation', async (kind) => {
    await using server = await startServer();
    const owner = createBackchannelClient({ url: server.url });
    await owner.auth.login.mutate({ password: PASSWORD });
    const { token, secret } = await owner.auth.tokens.create.mutate({ name: 'page', scope: 'read' });
    const options = { url: server.url, fetch: cachingFetch() };
    const bc = createBackchannelClient(kind === 'token' ? { ...options, token: secret } : options);
    if (kind === 'session') await bc.auth.login.mutate({ password: PASSWORD });
    const { session } = await bc.auth.me.query();
    if (session) await owner.auth.sessions.revoke.mutate({ id: session.id });
    else await owner.auth.tokens.revoke.mutate({ id: token.id });
    expect(await failureOf(bc.auth.me.query())).toMatchObject({ code: 'UNAUTHORIZED' });
  });
});

describe('the option cache', () => {
  /** The options of a query and of a mutation. */
  const optionsOf = async (): Promise<Init[]> => {
    const sent: Init[] = [];
    const bc = createBackchannelClient({
      url,
      fetch: async (_input, init = {}) => {
        sent.push(init);
        return json(signedOut);
      },
    });
    await bc.auth.status.query();
    await bc.auth.logout.mutate();
    return sent;
  };

  test('is no-store where a Request knows it', async () => {
    expect((await optionsOf()).map(({ cache }) => cache)).toEqual(['no-store', 'no-store']);
  });

  test.each([
    // Cloudflare Workers throw at any value. React Native's fetch adds `?_=…` to the address.
    ['a Request without it: Cloudflare Workers before 2024-11-11, React Native', class {}],
    ['no Request at all', undefined],
  ])('is left out with %s', async (_runtime, request) => {
    vi.stubGlobal('Request', request);
    expect((await optionsOf()).map((init) => 'cache' in init)).toEqual([false, false]);
  });
});

describe('the session is kept with', () => {
  /** The lines of a server with two cookies, the first with a comma in its date. */
  const lines = [
    'a=1; Path=/; Expires=Tue, 19 Jan 2038 03:14:07 GMT; HttpOnly',
    'backchannel_session=x.y-z=; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax',
    'b=; Path=/',
  ];
  const joined = lines.join(', ');
  const headersOf = (members: object) => ({ get: () => null, ...members });
  const named = (value: string) => (name: string) => (name.toLowerCase() === 'set-cookie' ? value : null);

  test.each([
    ['getSetCookie', { getSetCookie: () => lines, get: named(joined) }],
    ['all lines in one header, as in node-fetch 2', { get: named(joined) }],
    ['all lines in one header without spaces', { get: named(lines.join(',')) }],
  ])('%s', async (_fetch, members) => {
    const sent: (string | null)[] = [];
    const bc = createBackchannelClient({
      url,
      fetch: async (_input, init) => {
        sent.push(new Headers(init?.headers).get('cookie'));
        const response = json(signedOut);
        return Object.defineProperty(response, 'headers', { value: headersOf(members) });
      },
    });
    await bc.auth.status.query();
    await bc.auth.status.query();
    expect(sent).toEqual([null, 'a=1; backchannel_session=x.y-z=; b=']);
  });

  test('React Native, which sends its cookies itself', async () => {
    vi.stubGlobal('navigator', { product: 'ReactNative' });
    const sent: (string | null)[] = [];
    const bc = createBackchannelClient({
      url,
      fetch: async (_input, init) => {
        sent.push(new Headers(init?.headers).get('cookie'));
        return json(signedOut, [['set-cookie', 'backchannel_session=x; Path=/']]);
      },
    });
    await bc.auth.status.query();
    await bc.auth.status.query();
    expect(sent).toEqual([null, null]);
  });

  test('a real server and headers without getSetCookie', async () => {
    await using server = await startServer();
    const bc = createBackchannelClient({
      url: server.url,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        const { headers } = response;
        return Object.defineProperty(response, 'headers', { value: { get: (name: string) => headers.get(name) } });
      },
    });
    await bc.auth.login.mutate({ password: PASSWORD });
    expect(await bc.auth.me.query()).toMatchObject({ method: 'session' });
    await bc.auth.logout.mutate();
    expect(await bc.auth.status.query()).toMatchObject({ authenticated: false });
  });
});

/** Functions that are missing on iOS 16, in React Native, or in Node 18. */
const newer: [owner: object, name: string][] = [
  ...['canParse', 'parse'].map((name): [object, string] => [URL, name]),
  ...['any', 'timeout'].map((name): [object, string] => [AbortSignal, name]),
  ...['reason', 'throwIfAborted'].map((name): [object, string] => [AbortSignal.prototype, name]),
  [Headers.prototype, 'getSetCookie'],
  [Response, 'json'],
  [Object, 'groupBy'],
  [Map, 'groupBy'],
  [Array, 'fromAsync'],
  ...['toSorted', 'toReversed', 'toSpliced', 'with'].map((name): [object, string] => [Array.prototype, name]),
  ...['withResolvers', 'try'].map((name): [object, string] => [Promise, name]),
  [String.prototype, 'isWellFormed'],
  ...['union', 'intersection', 'difference', 'isSubsetOf'].map((name): [object, string] => [Set.prototype, name]),
  [RegExp, 'escape'],
  [globalThis, 'structuredClone'],
  [crypto, 'randomUUID'],
];

test('a client works without the functions that older runtimes lack', async () => {
  const taken = newer.map(([owner, name]) => ({ owner, name, property: Object.getOwnPropertyDescriptor(owner, name) }));
  let answer = () => json({ result: { data: { authenticated: true, expiresAt: null } } });
  let hangs = false;
  const seen: unknown[] = [];
  try {
    for (const { owner, name } of taken) Reflect.deleteProperty(owner, name);
    vi.stubGlobal('Request', undefined);
    expect(() => createBackchannelClient({ url: 'localhost:8000' })).toThrow(TypeError);
    expect(() => createBackchannelClient({ url: 'nothing' })).toThrow(/^url: /);
    const bc = createBackchannelClient({
      url,
      fetch: async (_input, init) => {
        if (!hangs) return answer();
        return new Promise((_, reject) => {
          const stop = () => reject(new Error('aborted'));
          init?.signal?.addEventListener('abort', stop);
          if (init?.signal?.aborted) stop();
        });
      },
    });
    seen.push(await bc.auth.login.mutate({ password: PASSWORD }));
    seen.push(await bc.auth.events.list.query({ limit: 1 }));
    answer = () => new Response(null, { status: 302, headers: { location: '/elsewhere' } });
    seen.push(await failureOf(bc.auth.me.query()));
    answer = () => new Response(null, { status: 302, headers: { location: 'http://[' } });
    seen.push(await failureOf(bc.auth.me.query()));
    const leaving = new AbortController();
    hangs = true;
    const call = failureOf(bc.auth.me.query(undefined, { signal: leaving.signal }));
    leaving.abort();
    seen.push(await call);
  } finally {
    for (const { owner, name, property } of taken) if (property) Object.defineProperty(owner, name, property);
  }
  expect(seen).toMatchObject([
    { authenticated: true },
    { authenticated: true },
    { code: 'UNEXPECTED_ANSWER', message: expect.stringContaining('redirects to http://backchannel.test/elsewhere.') },
    { code: 'UNEXPECTED_ANSWER', message: expect.stringContaining('redirects.') },
    { code: 'ABORTED' },
  ]);
});
