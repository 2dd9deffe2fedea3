// A key that an object has twice: two parsers could take different values from it. Refused at any depth, on both faces.
// Runs on one engine: the input is refused before anything reads the database.
import { afterAll, describe, expect, test } from 'vitest';
import { strictJson } from '../../src/http/strict-json.ts';
import { PASSWORD, readError, sendRaw, startServer } from '../support/harness.ts';
import { createRandom } from '../support/random.ts';

const server = await startServer();
afterAll(() => server[Symbol.asyncDispose]());

const right = JSON.stringify(PASSWORD);
const bodies = [
  `{"password":"wrong","password":${right}}`,
  `{"password":${right},"password":"wrong"}`,
  `{"password":${right},"password":${right}}`,
  `{"p\\u0061ssword":"wrong","password":${right}}`,
  `{"password":${right},"remember":false,"remember":false}`,
  `{ "password" : "wrong" ,\n\t"password" : ${right} }`,
  `{"a":{"b":[{"c":1},{"c":1,"c":2}]},"password":${right}}`,
  `{"__proto__":1,"__proto__":2,"password":${right}}`,
  `{"":1,"":2}`,
  `{"\\"":1,"\\u0022":2}`,
  `{"\\ud83d\\udd11":1,"🔑":2}`,
];
const json = { 'content-type': 'application/json' };

describe('a sign-in', () => {
  test.each(bodies)('with %s is refused', async (body) => {
    for (const [face, path] of [
      ['REST', '/api/v1/auth/login'],
      ['tRPC', '/trpc/auth.login'],
    ] as const) {
      const answer = await sendRaw(server.url, `POST ${path}`, { headers: json, body });
      expect(answer.status).toBe(400);
      expect(answer.headers['set-cookie']).toBeUndefined();
      expect(readError(face, 400, answer.json).message).toMatch(/has a key twice/);
    }
  });

  test('in a batch is refused, and so is the whole batch', async () => {
    const body = `{"0":{"password":"wrong","password":${right}},"1":{"password":${right}}}`;
    const answer = await sendRaw(server.url, 'POST /trpc/auth.login,auth.login?batch=1', { headers: json, body });
    const codes = answer.json.map((each: { error?: { data: { code: string } } }) => each.error?.data.code);
    expect(codes).toEqual(['BAD_REQUEST', 'BAD_REQUEST']);
  });
});

test('a query over tRPC is refused too, and a stranger learns nothing from it', async () => {
  const input = encodeURIComponent('{"limit":1,"limit":2}');
  const client = server.client();
  expect((await client.trpc('query', 'auth.events.list', undefined)).status).toBe(401);
  expect((await sendRaw(server.url, `GET /trpc/auth.events.list?input=${input}`)).status).toBe(401);
  await client.signIn();
  const headers = { cookie: client.cookie };
  expect((await sendRaw(server.url, `GET /trpc/auth.events.list?input=${input}`, { headers })).status).toBe(400);
});

test('the same key in different objects, in a string or in an array is fine', () => {
  for (const text of [
    '{"a":{"a":{"a":1}},"b":{"a":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":"a","b":"a","c":["a","a"]}',
    '{"a":"{\\"a\\":1,\\"a\\":2}"}',
    '{"a":"\\\\","b":"\\""}',
    '{"a":1,"A":2,"\\u00e9":1,"e\\u0301":2}',
    '[',
    '"',
    '',
  ])
    expect(strictJson(text)).toBe(text);
});

test('any object that is written from data is fine, and with one of its keys again it is not', () => {
  const random = createRandom(3).below;
  const value = (depth: number): unknown => {
    const kind = random(depth > 3 ? 3 : 5);
    if (kind === 3) return Array.from({ length: random(4) }, () => value(depth + 1));
    if (kind === 4) return Object.fromEntries(Array.from({ length: 1 + random(4) }, () => [key(), value(depth + 1)]));
    return [random(100), key(), null][kind];
  };
  const key = () => ['a', 'b"', '\\', '{', '},', ':"', '🔑', '\n', ''][random(9)] ?? '';
  for (let round = 0; round < 5000; round++) {
    const data = { first: value(0), last: value(0) };
    const text = JSON.stringify(data);
    expect(strictJson(text)).toBe(text);
    const twice = `{"x":[${text.slice(0, -1)},"first":1}]}`;
    expect(() => JSON.parse(twice)).not.toThrow();
    expect(() => JSON.parse(strictJson(twice))).toThrow();
  }
});

test('nesting as deep as a body allows is answered', async () => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const depth = Math.floor(60_000 / (open.length + close.length));
    const body = `{"password":${open.repeat(depth)}1${close.repeat(depth)}}`;
    for (const path of ['/api/v1/auth/login', '/trpc/auth.login']) {
      expect((await sendRaw(server.url, `POST ${path}`, { headers: json, body })).status).toBe(400);
    }
  }
});
