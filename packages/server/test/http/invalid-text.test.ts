// Text that a database cannot store is refused where it comes in: never an error of the server.
import { describe, expect, test } from 'vitest';
import { PASSWORD, startServer, type TestClient } from '../support/harness.ts';

const loneSurrogates = ['\\ud800', '\\uDFFF', 'a\\ud83d b', '\\ude00\\ud83d', '\\uD83D\\ud83d\\ude00'];

/** Sends JSON as it is written here, over REST and over tRPC. */
async function send(client: TestClient, url: string, json: string, names: { rest: string; trpc: string }) {
  const headers = { cookie: client.cookie, 'content-type': 'application/json' };
  const paths = [`/api/v1${names.rest}`, `/trpc/${names.trpc}`];
  return Promise.all(
    paths.map(async (path) => {
      const response = await fetch(url + path, { method: 'POST', headers, body: json });
      return { status: response.status, body: JSON.stringify(await response.json()) };
    }),
  );
}

const inputs: [string, { rest: string; trpc: string }, (text: string) => string][] = [
  [
    'the name of a token',
    { rest: '/auth/tokens', trpc: 'auth.tokens.create' },
    (text) => `{"name":"${text}","scope":"full"}`,
  ],
  [
    'a host of a token',
    { rest: '/auth/tokens', trpc: 'auth.tokens.create' },
    (text) => `{"name":"a","scope":"proxy","hosts":["${text}"]}`,
  ],
  [
    'a password to hash',
    { rest: '/auth/hash-password', trpc: 'auth.hashPassword' },
    (text) => `{"password":"long enough ${text}"}`,
  ],
  [
    'a new password',
    { rest: '/auth/password', trpc: 'auth.changePassword' },
    (text) => `{"current":"${PASSWORD}","new":"long enough ${text}"}`,
  ],
  [
    'a key',
    { rest: '/auth/hash-password', trpc: 'auth.hashPassword' },
    (text) => `{"password":"long enough","${text}":1}`,
  ],
];

test.each(inputs)('%s with half of a surrogate pair, or with a NUL, is 400', async (_, names, write) => {
  await using server = await startServer();
  const client = server.client();
  await client.signIn();
  for (const text of [...loneSurrogates, '\\u0000']) {
    for (const { status, body } of await send(client, server.url, write(text), names)) {
      expect({ text, status, body }).toMatchObject({ status: 400, body: expect.stringContaining('BAD_REQUEST') });
    }
  }
});

test('a password with half of a surrogate pair is 400 at a sign-in, not a wrong one', async () => {
  await using server = await startServer();
  const names = { rest: '/auth/login', trpc: 'auth.login' };
  for (const { status } of await send(server.client(), server.url, '{"password":"\\ud800"}', names)) {
    expect(status).toBe(400);
  }
});

test('whole surrogate pairs, in any spelling, are text like any other', async () => {
  await using server = await startServer();
  const client = server.client();
  await client.signIn();
  for (const text of ['\\ud83d\\ude00', '\\uD83D\\uDE00', '😀', '\\\\ud800', '日本語']) {
    const body = `{"name":"${text}","scope":"full"}`;
    for (const { status } of await send(client, server.url, body, {
      rest: '/auth/tokens',
      trpc: 'auth.tokens.create',
    })) {
      expect({ text, status }).toEqual({ text, status: 200 });
    }
  }
});

describe('a NUL or bytes that are no UTF-8 in a URL', () => {
  test.each([
    'GET /auth/events?cursor=%00',
    'GET /auth/events?type=%00',
    'GET /auth/events?cursor=%ED%A0%80',
    'DELETE /auth/tokens/%00',
    'DELETE /auth/sessions/a%00b',
    'DELETE /auth/sessions/%ED%A0%80',
    'GET /client/dashboard?timeZone=%00',
  ])('are no error of the server: %s', async (line) => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const [method = '', path = ''] = line.split(' ');
    const { status } = await client.rest(method, path);
    expect([400, 404]).toContain(status);
  });

  test('as input of tRPC are no error of the server either', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    for (const cursor of ['\0', '\ud800']) {
      const { status } = await client.trpc('query', 'auth.events.list', { cursor });
      expect(status).toBe(400);
    }
    for (const id of ['\0', '\ud800']) {
      const { status } = await client.trpc('mutation', 'auth.tokens.revoke', { id });
      expect([400, 404]).toContain(status);
    }
  });
});
