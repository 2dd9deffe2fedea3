import { expect, test } from 'vitest';
import { PASSWORD, startServer } from '../../server/test/support/harness.ts';
import { type CookieStore, createBackchannelClient } from '../src/index.ts';
import { failureOf, openStandInFor } from './stand-in.ts';

const signedOut = { result: { data: { authenticated: false, expiresAt: null } } };

/** A store in memory that counts its calls. */
function createMemory(text: string | null = null) {
  const calls: string[] = [];
  const memory = {
    text,
    calls,
    load: async () => {
      calls.push('load');
      return memory.text;
    },
    save: async (cookies: string) => {
      calls.push('save');
      memory.text = cookies;
    },
  };
  return memory satisfies CookieStore;
}

test('a new client continues the stored session', async () => {
  await using server = await startServer();
  const cookies = createMemory();
  const first = createBackchannelClient({ url: server.url, cookies });
  await first.auth.login.mutate({ password: PASSWORD });
  const { session } = await first.auth.me.query();

  const second = createBackchannelClient({ url: server.url, cookies });
  expect((await second.auth.me.query()).session?.id).toBe(session?.id);
  await second.auth.logout.mutate();

  const third = createBackchannelClient({ url: server.url, cookies });
  expect(await third.auth.status.query()).toMatchObject({ authenticated: false });
});

test('the store is loaded once, and saved only when the cookies have changed', async () => {
  await using server = await startServer();
  const cookies = createMemory();
  const bc = createBackchannelClient({ url: server.url, cookies });
  expect(cookies.calls).toEqual([]);
  await bc.auth.status.query();
  await bc.auth.status.query();
  expect(cookies.calls).toEqual(['load']);
  await bc.auth.login.mutate({ password: PASSWORD });
  expect(cookies.calls).toEqual(['load', 'save']);
  await bc.auth.me.query();
  await failureOf(bc.auth.login.mutate({ password: 'not this one' }));
  expect(cookies.calls).toEqual(['load', 'save']);
  await bc.auth.logout.mutate();
  expect(cookies.calls).toEqual(['load', 'save', 'save']);
});

test('concurrent calls wait for one load, and the last save has the latest state', async () => {
  await using server = await startServer();
  const kept = createMemory();
  await createBackchannelClient({ url: server.url, cookies: kept }).auth.login.mutate({ password: PASSWORD });

  let running = 0;
  let most = 0;
  const slow: CookieStore = {
    load: kept.load,
    save: async (text) => {
      running++;
      most = Math.max(most, running);
      // A turn of the event loop and a request: enough time for another save, if saves could overlap.
      await fetch(`${server.url}/healthz`);
      await kept.save(text);
      running--;
    },
  };
  kept.calls.length = 0;
  const bc = createBackchannelClient({ url: server.url, cookies: slow });
  const answers = await Promise.all([1, 2, 3, 4].map(() => bc.auth.status.query()));
  expect(answers.map(({ authenticated }) => authenticated)).toEqual([true, true, true, true]);
  expect(kept.calls).toEqual(['load']);

  await Promise.all([1, 2, 3].map(() => bc.auth.login.mutate({ password: PASSWORD })));
  expect(most).toBe(1);
  // The store and the client have the same cookies, whichever response came last.
  const { session } = await bc.auth.me.query();
  const next = createBackchannelClient({ url: server.url, cookies: kept });
  expect((await next.auth.me.query()).session?.id).toBe(session?.id);
});

test('loaded cookies go only to the origin that they came from', async () => {
  await using server = await startServer();
  const cookies = createMemory();
  await createBackchannelClient({ url: server.url, cookies }).auth.login.mutate({ password: PASSWORD });
  expect(cookies.text).toContain(server.url);

  await using other = await openStandInFor(200, signedOut);
  await createBackchannelClient({ url: other.url, cookies }).auth.status.query();
  expect(other.requests.map(({ headers }) => headers.cookie)).toEqual([undefined]);
});

test('a damaged text is ignored, and the next sign-in replaces it', async () => {
  await using server = await startServer();
  await using listener = await openStandInFor(200, signedOut);
  const origin = listener.url;
  const cookie = { name: 'backchannel_session', value: 'x', path: '/', expiresAt: null };
  const texts = [
    '',
    'no JSON',
    'null',
    '5',
    '{}',
    JSON.stringify({ origin }),
    JSON.stringify({ origin, cookies: 5 }),
    JSON.stringify({ origin, cookies: [null] }),
    ...[{ name: '' }, { name: 5 }, { value: 'x\r\nX-A: b' }, { value: 'x; y=z' }, { path: 5 }, { expiresAt: 'x' }].map(
      (part) => JSON.stringify({ origin, cookies: [{ ...cookie, ...part }] }),
    ),
    '{"origin":',
  ];
  for (const text of texts)
    await createBackchannelClient({ url: origin, cookies: createMemory(text) }).auth.status.query();
  expect(listener.requests.map(({ headers }) => headers.cookie)).toEqual(texts.map(() => undefined));
  // The same text without damage works.
  const whole = JSON.stringify({ origin, cookies: [cookie] });
  await createBackchannelClient({ url: origin, cookies: createMemory(whole) }).auth.status.query();
  expect(listener.requests.at(-1)?.headers.cookie).toBe('backchannel_session=x');

  const torn = createMemory('{"origin":');
  await createBackchannelClient({ url: server.url, cookies: torn }).auth.login.mutate({ password: PASSWORD });
  const next = createBackchannelClient({ url: server.url, cookies: torn });
  expect(await next.auth.status.query()).toMatchObject({ authenticated: true });
});

test('a store may be empty, and it may return without a promise', async () => {
  await using server = await startServer();
  for (const nothing of [null, undefined, '']) {
    let text = '';
    const cookies: CookieStore = {
      load: () => nothing,
      save: (saved) => {
        text = saved;
      },
    };
    await createBackchannelClient({ url: server.url, cookies }).auth.login.mutate({ password: PASSWORD });
    expect(text).toContain('backchannel_session');
  }
});

test('a failed load stops the call before anything is sent, and the next call tries again', async () => {
  await using server = await openStandInFor(200, signedOut);
  let failures = 1;
  const cookies: CookieStore = {
    load: () => {
      if (failures-- > 0) throw new Error('the keychain is locked');
      return null;
    },
    save: () => {},
  };
  const bc = createBackchannelClient({ url: server.url, cookies });
  expect(await failureOf(bc.auth.status.query())).toMatchObject({
    name: 'BackchannelError',
    code: 'COOKIE_STORE_FAILED',
    status: null,
    message: 'cookies.load failed: the keychain is locked; nothing was sent.',
    cause: { message: 'the keychain is locked' },
  });
  expect(server.requests).toEqual([]);
  expect(await bc.auth.status.query()).toMatchObject({ authenticated: false });
});

test('a failed save rejects the call, keeps the session, and is repeated at the next call', async () => {
  await using server = await startServer();
  const memory = createMemory();
  let failures = 1;
  const cookies: CookieStore = {
    load: memory.load,
    save: async (text) => {
      if (failures-- > 0) throw new Error('the disk is full');
      await memory.save(text);
    },
  };
  const bc = createBackchannelClient({ url: server.url, cookies });
  expect(await failureOf(bc.auth.login.mutate({ password: PASSWORD }))).toMatchObject({
    code: 'COOKIE_STORE_FAILED',
    message: expect.stringContaining('cookies.save failed: the disk is full; the server has responded'),
  });
  expect(memory.text).toBe(null);
  expect(await bc.auth.me.query()).toMatchObject({ method: 'session' });
  expect(memory.text).toContain('backchannel_session');
});

test('a token and a cookie store cannot be combined', () => {
  const create = () =>
    createBackchannelClient({ url: 'http://backchannel.test', token: 'bct_x', cookies: createMemory() });
  expect(create).toThrow(/^cookies: a client with a token/);
});
