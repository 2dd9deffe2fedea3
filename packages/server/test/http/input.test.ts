// Runs on one engine: invalid input is refused before the database is used.
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type Face,
  operations,
  PASSWORD,
  type RawAnswer,
  readError,
  sendBytes,
  sendRaw,
  startServer,
  targetOf,
} from '../support/harness.ts';

const faces: Face[] = ['REST', 'tRPC'];
const json = { 'content-type': 'application/json' };
const rightPassword = JSON.stringify({ password: PASSWORD });
/** Operations whose valid input these tests know: a password, or nothing. */
const named = (...names: string[]) => operations.filter(({ name }) => names.includes(name));
const writes = named('auth.login', 'auth.logout', 'auth.hashPassword');
const reads = named('auth.me', 'auth.status', 'client.profile', 'client.dashboard', 'client.stats', 'client.protected');

// High, because the throttle is not tested here.
const server = await startServer({ loginMaxFailures: 1000 });
const operator = server.client();
await operator.signIn();
afterAll(() => server[Symbol.asyncDispose]());

interface Call {
  headers?: Record<string, string | null>;
  body?: string | Buffer;
}

/** Calls an operation by name, as the operator unless it is a sign-in or a sign-out. */
function call(face: Face, name: string, options: Call = {}): Promise<RawAnswer> {
  const operation = operations.find((each) => each.name === name);
  if (!operation) throw new RangeError(name);
  const { method, path } = targetOf(face, operation);
  const cookie = operation.access === 'anyone' ? null : operator.cookie;
  return sendRaw(server.url, `${method} ${path}`, { ...options, headers: { cookie, ...json, ...options.headers } });
}

/** The code and the invalid fields. */
function refusal(face: Face, answer: RawAnswer): [code: string, ...paths: string[]] {
  const { code, issues = [] } = readError(face, answer.status, answer.json);
  expect(answer.headers['set-cookie']).toBeUndefined();
  return [code, ...issues.map(({ path }) => path)];
}

const resultOf = (face: Face, answer: RawAnswer) => (face === 'REST' ? answer.json : answer.json.result.data);

describe.each(faces)('over %s', (face) => {
  test('the message for a field says that it is missing, unknown or of the wrong type', async () => {
    const wordsFor = async (body: object) => {
      const answer = await call(face, 'auth.login', { body: JSON.stringify(body) });
      return readError(face, answer.status, answer.json).issues;
    };
    expect(await wordsFor({})).toEqual([{ path: 'password', message: 'Missing.' }]);
    expect(await wordsFor({ password: 'x', b: 1 })).toEqual([{ path: 'b', message: 'Unknown field.' }]);
    expect(await wordsFor({ password: null })).toEqual([
      { path: 'password', message: expect.stringContaining('expected string') },
    ]);
  });

  test.each([
    '{',
    '{"password":',
    '{"password":"hunter2',
    "{'password':'hunter2'}",
    '{"password":"hunter2"}}',
    '{"password":"hunter2",}',
    '{password:"hunter2"}',
    'hunter2',
    'password=hunter2',
    '\0',
    '{"password":"a\nb"}',
    '<xml/>',
    'undefined',
    'NaN',
    '{"password":"\\x"}',
    ' ',
  ])('invalid JSON is refused and not repeated: %j', async (body) => {
    for (const { name } of writes) {
      const answer = await call(face, name, { body });
      expect(refusal(face, answer)).toEqual(['BAD_REQUEST']);
      expect(answer.text).not.toContain('hunter2');
      expect(answer.text).not.toMatch(/position|unexpected|token/i);
    }
  });

  test.each(['[]', '[{"password":"x"}]', 'null', '"text"', '5', 'true', '""', '0', 'false'])(
    'a body of %s is refused',
    async (body) => {
      for (const { name } of writes) {
        const [code, ...paths] = refusal(face, await call(face, name, { body }));
        expect([code, ...new Set(paths)]).toEqual(face === 'REST' ? ['BAD_REQUEST'] : ['BAD_REQUEST', '']);
      }
    },
  );

  test.each(['x', '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '', '0', 'Password', 'a.b'])(
    'the unknown field "%s" is refused by every write',
    async (field) => {
      for (const { name } of writes) {
        for (const value of ['1', '{"admin":true}', 'null']) {
          const rest = name === 'auth.logout' ? '' : `,"password":${JSON.stringify(PASSWORD)}`;
          const answer = await call(face, name, { body: `{${JSON.stringify(field)}:${value}${rest}}` });
          expect(refusal(face, answer)).toEqual(['BAD_REQUEST', field]);
        }
      }
      expect(({} as Record<string, unknown>).admin).toBeUndefined();
    },
  );

  test.each(reads)('$name takes no input', async (operation) => {
    const { path } = targetOf(face, operation);
    const input = (query: string) =>
      sendRaw(server.url, `GET ${path}?${query}`, { headers: { cookie: operator.cookie } });
    for (const field of ['x', '__proto__', 'constructor', 'limit', 'password', 'cookie']) {
      const query = face === 'REST' ? `${field}=1` : `input=${encodeURIComponent(`{"${field}":"1"}`)}`;
      expect(refusal(face, await input(query))).toEqual(['BAD_REQUEST', field]);
      // tRPC's query string may only have tRPC's own fields.
      expect(refusal(face, await input(`${field}=`))).toEqual(['BAD_REQUEST', field]);
      expect(refusal(face, await input(`${field}`))).toEqual(['BAD_REQUEST', field]);
    }
    for (const twice of [
      'x=1&x=2',
      'x&x',
      'x[]=1',
      '__proto__=1&__proto__=2',
      'input={}&input={}',
      'batch=1&batch=1',
    ]) {
      expect(refusal(face, await input(twice))[0]).toBe('BAD_REQUEST');
    }
    expect(refusal(face, await input(Array.from({ length: 3000 }, (_, n) => `${n}`).join('&')))[0]).toBe('BAD_REQUEST');
    for (const nothing of ['', '&', '&&']) expect((await input(nothing)).status).toBe(200);
  });

  test('a tRPC query without a JSON object is refused and not repeated', async () => {
    if (face === 'REST') return;
    for (const value of ['{"hunter2', 'hunter2', '[]', 'null', '"hunter2"', '5', '%ff', '{"password":"hunter2"}x']) {
      const answer = await sendRaw(server.url, `GET /trpc/auth.status?input=${encodeURIComponent(value)}`);
      expect(refusal(face, answer)[0]).toBe('BAD_REQUEST');
      expect(answer.text).not.toContain('hunter2');
    }
  });

  test.each(writes)(
    '$name takes no input from the query string, which histories and logs would keep',
    async (operation) => {
      const { method, path } = targetOf(face, operation);
      for (const query of ['password=hunter2', 'input=%7B%22password%22%3A%22hunter2%22%7D', 'remember=true', 'x']) {
        for (const body of [undefined, operation.name === 'auth.logout' ? '{}' : rightPassword]) {
          const answer = await sendRaw(server.url, `${method} ${path}?${query}`, {
            headers: { ...json, cookie: operator.cookie },
            ...(body ? { body } : {}),
          });
          expect(refusal(face, answer)).toEqual(['BAD_REQUEST', query.split('=')[0]]);
          expect(answer.text).not.toContain('hunter2');
        }
      }
    },
  );

  test('nothing is coerced, before and after any other request', async () => {
    const wrong: [field: string, value: unknown][] = [
      ...[5, 0, true, false, null, [], ['x'], {}, { toString: 'x' }].map((value): [string, unknown] => [
        'password',
        value,
      ]),
      ...['true', 'false', '', '1', 'on', 1, 0, null, [], {}].map((value): [string, unknown] => ['remember', value]),
    ];
    const refuseAll = async () => {
      for (const [field, value] of wrong) {
        const input = { password: PASSWORD, [field]: value };
        const answer = await call(face, 'auth.login', { body: JSON.stringify(input) });
        expect([value, ...refusal(face, answer)]).toEqual([value, 'BAD_REQUEST', field]);
        if (field !== 'password') continue;
        const hashed = await call(face, 'auth.hashPassword', { body: JSON.stringify({ password: value }) });
        expect(refusal(face, hashed)).toEqual(['BAD_REQUEST', 'password']);
      }
    };
    await refuseAll();
    for (const other of faces) {
      for (const remember of [true, false]) {
        const right = await call(other, 'auth.login', { body: JSON.stringify({ password: PASSWORD, remember }) });
        expect(right.status).toBe(200);
      }
      for (const { name } of reads) expect((await call(other, name)).status).toBe(200);
      await call(other, 'auth.login', { body: '{"password":"5","remember":"true"}' });
    }
    await refuseAll();
  });

  const bytes = (text: string) => Buffer.byteLength(text);
  test.each([
    ['empty', '', 400],
    ['72 ASCII bytes', 'a'.repeat(72), 200],
    ['73 ASCII bytes', 'a'.repeat(73), 400],
    ['72 bytes of é', 'é'.repeat(36), 200],
    ['73 bytes of é', `${'é'.repeat(36)}a`, 400],
    ['72 bytes of emoji', '😀'.repeat(18), 200],
    ['76 bytes of emoji', '😀'.repeat(19), 400],
    ['a NUL', 'correct\0horse', 400],
    ['the right one and a NUL', `${PASSWORD}\0`, 400],
    ['the right one and a NUL and more', `${PASSWORD}\0more`, 400],
    ['60,000 characters', 'a'.repeat(60_000), 400],
    ['control characters', '\u0001\u001f\u007f\u0085', 200],
    ['spaces', '    ', 200],
    ['right-to-left and zero-width', '\u202eabc\u200b\ufeff', 200],
  ])('a password of %s', async (_name, password, hashed) => {
    const body = JSON.stringify({ password });
    const hash = await call(face, 'auth.hashPassword', { body });
    expect(hash.status).toBe(hashed);
    const login = await call(face, 'auth.login', { body });
    expect(refusal(face, login)).toEqual(hashed === 400 ? ['BAD_REQUEST', 'password'] : ['UNAUTHORIZED']);
    if (hashed === 400) expect(refusal(face, hash)).toEqual(['BAD_REQUEST', 'password']);
    else expect(resultOf(face, hash).hash).toMatch(/^\$2b\$04\$.{53}$/);
    if (bytes(password) > 72) expect(login.text).toContain(`${bytes(password)} bytes`);
  });

  test.each(['\\ud800', '\\udfff', 'x\\ud83dx', '\\udc00\\ud800'])(
    'a lone surrogate (%s) has no UTF-8 form and is refused',
    async (escaped) => {
      const login = await call(face, 'auth.login', { body: `{"password":"${escaped}"}` });
      expect(refusal(face, login)).toEqual(['BAD_REQUEST']);
      const hash = await call(face, 'auth.hashPassword', { body: `{"password":"${escaped}"}` });
      expect(hash.status).toBe(400);
    },
  );

  test('JSON that is 30,000 levels deep, or has 8,000 unknown fields, is refused like other invalid input', async () => {
    const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    expect(refusal(face, await call(face, 'auth.login', { body: `{"password":${deep}}` }))).toEqual([
      'BAD_REQUEST',
      'password',
    ]);
    expect(refusal(face, await call(face, 'auth.login', { body: deep }))[0]).toBe('BAD_REQUEST');
    const objects = `${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}`;
    expect(refusal(face, await call(face, 'auth.login', { body: objects }))[0]).toBe('BAD_REQUEST');
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 8000 }, (_, n) => [`k${n}`, 0])));
    expect(wide.length).toBeGreaterThan(64 * 1024);
    const most = JSON.stringify(Object.fromEntries(Array.from({ length: 7000 }, (_, n) => [n, 0])));
    expect(refusal(face, await call(face, 'auth.login', { body: most }))[0]).toBe('BAD_REQUEST');
  });
});

describe.each(faces)('a body over %s', (face) => {
  test.each([
    'application/json',
    'Application/JSON',
    'application/json;charset=utf-8',
    'application/json; charset=UTF-8',
    'application/json; charset="utf-8"',
    'application/json ; charset=utf8',
    'application/json; odata=verbose',
  ])('is read as %s', async (type) => {
    const answer = await call(face, 'auth.login', { headers: { 'content-type': type }, body: rightPassword });
    expect(resultOf(face, answer)).toMatchObject({ authenticated: true });
  });

  test.each([
    null,
    '',
    'text/plain',
    'text/plain; charset=application/json',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    'application/jsonx',
    'application/json-seq',
    'application/vnd.api+json',
    'application/json, text/plain',
    'text/plain, application/json',
    'application',
    '*/*',
    ';',
    'application/json; charset=utf-16',
    'application/json; charset=utf-16le',
    'application/json; charset=utf-7',
    'application/json; charset=latin1',
    'application/json; charset=iso-8859-1',
    'application/json; charset=',
    'application/json; charset="',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; CHARSET=cp500',
  ])('is refused with 415 as %s, and the message says what to send', async (type) => {
    for (const { name } of writes) {
      const body = name === 'auth.logout' ? '{}' : rightPassword;
      const answer = await call(face, name, { headers: { 'content-type': type }, body });
      expect([answer.status, refusal(face, answer)]).toEqual([415, ['UNSUPPORTED_MEDIA_TYPE']]);
      expect(answer.text).toContain('application/json');
    }
  });

  test('is refused as a multipart form, and as a form', async () => {
    const parts = '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--x--\r\n';
    for (const { name } of writes) {
      for (const [type, body] of [
        ['multipart/form-data; boundary=x', parts],
        ['multipart/form-data; boundary=x', '--x--\r\n'],
        ['application/x-www-form-urlencoded', `password=${encodeURIComponent(PASSWORD)}`],
        ['application/octet-stream', Buffer.from([0, 1, 2])],
      ] as const) {
        const answer = await call(face, name, { headers: { 'content-type': type }, body });
        expect([answer.status, refusal(face, answer)]).toEqual([415, ['UNSUPPORTED_MEDIA_TYPE']]);
      }
    }
  });

  test.each([
    ['gzip', gzipSync(rightPassword)],
    ['gzip', gzipSync(Buffer.alloc(32 * 1024 * 1024))],
    ['gzip', Buffer.from(rightPassword)],
    ['deflate', deflateSync(rightPassword)],
    ['br', brotliCompressSync(rightPassword)],
    ['zstd', Buffer.from(rightPassword)],
    ['gzip, gzip', gzipSync(gzipSync(rightPassword))],
    ['nothing', Buffer.from(rightPassword)],
  ])('is not unpacked (%s)', async (encoding, body) => {
    const answer = await call(face, 'auth.login', { headers: { 'content-encoding': encoding }, body });
    expect([answer.status, refusal(face, answer)]).toEqual([415, ['UNSUPPORTED_MEDIA_TYPE']]);
  });

  test('may begin with a byte order mark', async () => {
    expect((await call(face, 'auth.login', { body: `\ufeff${rightPassword}` })).status).toBe(200);
  });

  test.each([
    ['an invalid byte', Buffer.from([0xff])],
    ['half a character', Buffer.from('é').subarray(0, 1)],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
    ['an overlong NUL', Buffer.from([0xc0, 0x80])],
  ])('that is not UTF-8 is refused: %s', async (_name, odd) => {
    const body = Buffer.concat([Buffer.from('{"password":"'), odd, Buffer.from('"}')]);
    for (const name of ['auth.login', 'auth.hashPassword']) {
      expect(refusal(face, await call(face, name, { body }))).toEqual(['BAD_REQUEST']);
    }
    const utf16 = Buffer.from(rightPassword, 'utf16le');
    expect(refusal(face, await call(face, 'auth.login', { body: utf16 }))[0]).toBe('BAD_REQUEST');
  });

  const ofSize = (bytes: number) => `{"password":"${'a'.repeat(bytes - 15)}"}`;
  const chunked = (body: string, size = 4096) => {
    const chunks = body.match(new RegExp(`.{1,${size}}`, 'gs')) ?? [];
    return `${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n\r\n`;
  };
  const inChunks = (body: string) =>
    call(face, 'auth.login', {
      headers: { 'transfer-encoding': 'chunked', 'content-length': null },
      body: chunked(body),
    });

  test('of 64 KiB is read, and one byte more is refused with 413', async () => {
    const most = ofSize(64 * 1024);
    expect(most).toHaveLength(65_536);
    expect(refusal(face, await call(face, 'auth.login', { body: most }))).toEqual(['BAD_REQUEST', 'password']);
    expect(refusal(face, await inChunks(most))).toEqual(['BAD_REQUEST', 'password']);
    for (const size of [64 * 1024 + 1, 1024 * 1024]) {
      for (const { name } of writes) {
        const answer = await call(face, name, { body: ofSize(size) });
        expect([answer.status, refusal(face, answer)]).toEqual([413, ['PAYLOAD_TOO_LARGE']]);
      }
      const answer = await inChunks(ofSize(size));
      expect([answer.status, refusal(face, answer)]).toEqual([413, ['PAYLOAD_TOO_LARGE']]);
    }
  });

  test('may come in chunks without a length', async () => {
    expect((await inChunks(rightPassword)).status).toBe(200);
    const byteByByte = await call(face, 'auth.login', {
      headers: { 'transfer-encoding': 'chunked', 'content-length': null },
      body: chunked(rightPassword, 1),
    });
    expect(byteByByte.status).toBe(200);
  });

  test('with a wrong Content-Length is only refused', async () => {
    const path = face === 'REST' ? '/api/v1/auth/login' : '/trpc/auth.login';
    const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n`;
    for (const length of [1, rightPassword.length - 1]) {
      const short = await sendBytes(server.url, `${head}Content-Length: ${length}\r\n\r\n${rightPassword}`);
      expect(short.status).toBe(400);
    }
    for (const framing of [
      'Content-Length: -1',
      'Content-Length: 1e3',
      'Content-Length: 0x10',
      'Content-Length: 99999999999999999999999',
      'Content-Length: 5\r\nContent-Length: 6',
      'Content-Length: 5\r\nTransfer-Encoding: chunked',
      'Transfer-Encoding: identity',
      'Transfer-Encoding: chunked, gzip',
      'Transfer-Encoding: xchunked',
    ]) {
      const answer = await sendBytes(server.url, `${head}${framing}\r\n\r\n0\r\n\r\n`);
      expect([framing, answer.status]).toEqual([framing, 400]);
    }
    for (const chunks of ['zz\r\n', '-1\r\n', 'ffffffffffffffffff\r\n', '3\r\nabcd\r\n0\r\n\r\n']) {
      const answer = await sendBytes(server.url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`);
      expect([chunks, answer.status]).toEqual([chunks, 400]);
    }
    expect((await call(face, 'auth.status')).status).toBe(200);
  });

  test('is not needed to sign out, whatever its headers say', async () => {
    const types = [null, 'application/json', 'text/plain', 'application/x-www-form-urlencoded'];
    for (const type of types) {
      for (const rest of [
        {},
        { headers: { 'content-length': '0' } },
        { headers: { 'transfer-encoding': 'chunked', 'content-length': null }, body: '0\r\n\r\n' },
      ]) {
        const answer = await call(face, 'auth.logout', { ...rest, headers: { ...rest.headers, 'content-type': type } });
        expect([type, resultOf(face, answer)]).toEqual([type, { message: 'Signed out.', authenticated: false }]);
      }
    }
    const empty = await call(face, 'auth.logout', { body: '{}' });
    expect(resultOf(face, empty)).toEqual({ message: 'Signed out.', authenticated: false });
    const login = await call(face, 'auth.login');
    expect(refusal(face, login)[0]).toBe('BAD_REQUEST');
  });

  test('of a read is ignored', async () => {
    for (const body of ['{"x":1}', '{', 'hunter2']) {
      for (const type of ['application/json', 'multipart/form-data', 'application/octet-stream', null]) {
        const answer = await call(face, 'auth.status', { headers: { 'content-type': type }, body });
        expect(resultOf(face, answer)).toMatchObject({ authenticated: false });
      }
    }
  });
});

test.each([
  ['POST /api/v1/nothing', ''],
  ['PUT /api/v1/auth/login', ''],
  ['GET /api/v1/auth/status', ''],
  ['GET /trpc/auth.status', ''],
  ['POST /trpc/no/thing', ''],
  ['POST /api/v1/auth/login', 'Origin: https://evil.example\r\n'],
  ['POST /trpc/auth.login', 'Origin: https://evil.example\r\n'],
  ['POST /api/v1/auth/login', 'Content-Encoding: gzip\r\n'],
  ['POST /trpc/auth.login', 'Content-Encoding: gzip\r\n'],
  ['POST /api/v1/auth/login', ''],
  ['POST /trpc/auth.login', ''],
])('the body of a refused %s %j does not become the next request', async (line, header) => {
  for (const filling of ['', 'x'.repeat(100_000)]) {
    const body = `GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n${filling}`;
    const first = `${line} HTTP/1.1\r\nHost: a\r\n${header}Content-Length: ${body.length}\r\n\r\n${body}`;
    const next = 'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const { text } = await sendBytes(server.url, first + next);
    expect(text.split('HTTP/1.1 ')).toHaveLength(2);
    expect(text).toMatch(/\{"status":"ok"\}$/);
    expect(text).not.toContain('smuggled');
  }
});

test.each([
  ['nothing', ''],
  ['a space', ' '],
  ['curl', 'curl/8.5.0'],
  ['a browser', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['a prototype', '__proto__'],
  ['a constructor', 'constructor/1.0'],
  ['an escape sequence', '\u001b[31mred'],
  ['a script', '<script>alert(1)</script>'],
  ['5000 brackets', `Mozilla/5.0 ${'('.repeat(5000)}`],
])('a User-Agent of %s is stored safely', async (_name, userAgent) => {
  const login = await sendRaw(server.url, 'POST /api/v1/auth/login', {
    headers: { ...json, 'user-agent': userAgent },
    body: rightPassword,
  });
  // Node itself refuses control characters.
  if (login.status === 400 && login.json.message === 'This is not a valid HTTP request.') return;
  const [cookie = ''] = login.headers['set-cookie'] ?? [];
  for (const path of ['/auth/me', '/client/profile', '/client/dashboard']) {
    const answer = await sendRaw(server.url, `GET /api/v1${path}`, {
      headers: { cookie: cookie.slice(0, cookie.indexOf(';')), 'user-agent': userAgent },
    });
    expect(answer.status).toBe(200);
  }
});
