// Runs on one engine: origins are checked before the database is used.
import { afterAll, describe, expect, test } from 'vitest';
import {
  type Face,
  operations,
  PASSWORD,
  type RawAnswer,
  readError,
  sendRaw,
  startServer,
  type TestServer,
  targetOf,
} from '../support/harness.ts';

const faces: Face[] = ['REST', 'tRPC'];
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const json = { 'content-type': 'application/json' };
const rightPassword = JSON.stringify({ password: PASSWORD });
const writes = operations.filter(({ type }) => type === 'mutation');
const reads = operations.filter(({ type }) => type === 'query');
const loginPath = { REST: '/api/v1/auth/login', tRPC: '/trpc/auth.login' };
const logoutPath = { REST: '/api/v1/auth/logout', tRPC: '/trpc/auth.logout' };

const allowed = 'https://app.example.com';
const allowedOrigins = [allowed, 'http://localhost:5173'];
// PUBLIC_URL is http://localhost:PORT for the first server, http://auth.example.com:PORT for the second, https for the last.
const local = await startServer({ allowedOrigins });
const named = await startServer({ allowedOrigins, publicUrl: 'http://auth.example.com:0' });
const secure = await startServer({ publicUrl: 'https://auth.example.com:0' });
const closed = await startServer();
afterAll(() => Promise.all([local, named, secure, closed].map((each) => each[Symbol.asyncDispose]())));

type Headers = Record<string, string | null>;

/** Signs out, which has no other requirements, on both faces and the page. PORT in a header is the server's port. */
async function write(server: TestServer, headers: Headers): Promise<'passes' | 'refused'> {
  const { port } = new URL(server.url);
  const own = Object.entries(headers).map(([name, value]): [string, string | null] => [
    name,
    value?.replaceAll('PORT', port) ?? null,
  ]);
  const outcomes = new Set<'passes' | 'refused'>();
  for (const face of faces) {
    const answer = await sendRaw(server.url, `POST ${logoutPath[face]}`, { headers: Object.fromEntries(own) });
    if (answer.status === 200) outcomes.add('passes');
    // An invalid Host is BAD_REQUEST.
    else if (['FORBIDDEN', 'BAD_REQUEST'].includes(refusal(face, answer))) outcomes.add('refused');
  }
  const page = await sendRaw(server.url, 'POST /logout', { headers: { ...Object.fromEntries(own), ...form } });
  expect([200, 400, 403]).toContain(page.status);
  outcomes.add(page.status === 200 ? 'passes' : 'refused');
  const [outcome, ...others] = outcomes;
  if (!outcome || others.length > 0) throw new Error('the faces differ');
  return outcome;
}

function refusal(face: Face, answer: RawAnswer): string {
  expect(answer.headers['set-cookie']).toBeUndefined();
  return readError(face, answer.status, answer.json).code;
}

describe('a write with Sec-Fetch-Site', () => {
  test.each([
    ['same-origin', null, 'passes'],
    ['same-origin', 'http://localhost:PORT', 'passes'],
    ['none', null, 'passes'],
    ['none', 'null', 'passes'],
    ['same-site', null, 'refused'],
    ['same-site', 'http://localhost:PORT', 'refused'],
    ['same-site', 'http://localhost:3000', 'refused'],
    ['cross-site', null, 'refused'],
    ['cross-site', 'http://localhost:PORT', 'refused'],
    ['cross-site', 'https://evil.example', 'refused'],
    ['cross-site', 'null', 'refused'],
    ['cross-site', allowed, 'passes'],
    ['same-site', 'http://localhost:5173', 'passes'],
    ['cross-site', 'https://app.example.com.evil.example', 'refused'],
    ['cross-site', 'http://app.example.com', 'refused'],
    ['', null, 'refused'],
    ['', 'http://localhost:PORT', 'refused'],
    ['Same-Origin', null, 'refused'],
    ['same-origin, cross-site', null, 'refused'],
    ['cross-site, same-origin', null, 'refused'],
    ['nonsense', null, 'refused'],
  ] as const)('of "%s" and an Origin of %s: %s', async (site, origin, outcome) => {
    expect(await write(local, { 'sec-fetch-site': site, origin })).toBe(outcome);
  });

  test('is refused if the header appears twice', async () => {
    for (const face of faces) {
      const answer = await sendRaw(local.url, `POST ${logoutPath[face]}`, {
        headers: [
          ['Sec-Fetch-Site', 'same-origin'],
          ['Sec-Fetch-Site', 'same-origin'],
        ],
      });
      expect(refusal(face, answer)).toBe('FORBIDDEN');
    }
  });
});

describe('a write without Sec-Fetch-Site', () => {
  test.each([
    // PUBLIC_URL, an allowed origin, or no origin: a program, not a page.
    [null, null, 'passes'],
    ['http://localhost:PORT', null, 'passes'],
    [allowed, null, 'passes'],
    ['http://localhost:5173', null, 'passes'],
    // The request's own Host, if it is a loopback host.
    ['http://127.0.0.1:PORT', '127.0.0.1:PORT', 'passes'],
    ['http://127.9.9.9:PORT', '127.9.9.9:PORT', 'passes'],
    ['http://[::1]:PORT', '[::1]:PORT', 'passes'],
    ['http://backchannel.localhost:PORT', 'backchannel.localhost:PORT', 'passes'],
    ['http://localhost', 'localhost', 'passes'],
    ['http://localhost', 'localhost:80', 'passes'],
    ['https://localhost', 'localhost:443', 'passes'],
    // PUBLIC_URL, whatever the Host is.
    ['http://localhost:PORT', 'evil.example', 'passes'],
    // Other origins.
    ['http://127.0.0.1:PORT', 'localhost:PORT', 'refused'],
    ['http://localhost:3000', 'localhost:PORT', 'refused'],
    ['http://localhost', 'localhost:PORT', 'refused'],
    ['https://evil.example', 'localhost:PORT', 'refused'],
    ['https://evil.example', '127.0.0.1:PORT', 'refused'],
    ['null', 'localhost:PORT', 'refused'],
    ['', 'localhost:PORT', 'refused'],
    ['undefined', 'localhost:PORT', 'refused'],
    ['file://', 'localhost:PORT', 'refused'],
    ['chrome-extension://abcdef', 'localhost:PORT', 'refused'],
    ['localhost:PORT', 'localhost:PORT', 'refused'],
    ['//localhost:PORT', 'localhost:PORT', 'refused'],
    // An attacker's name that resolves to this server: DNS rebinding.
    ['http://evil.example:PORT', 'evil.example:PORT', 'refused'],
    ['http://localhost.evil.example:PORT', 'localhost.evil.example:PORT', 'refused'],
    ['http://127.0.0.1.evil.example:PORT', '127.0.0.1.evil.example:PORT', 'refused'],
    ['http://127.evil.example:PORT', '127.evil.example:PORT', 'refused'],
    ['http://evil-localhost:PORT', 'evil-localhost:PORT', 'refused'],
    ['http://192.168.0.7:PORT', '192.168.0.7:PORT', 'refused'],
    ['http://0.0.0.0:PORT', '0.0.0.0:PORT', 'refused'],
    ['http://[::ffff:c0a8:7]:PORT', '[::ffff:c0a8:7]:PORT', 'refused'],
    ['http://[fe80::1]:PORT', '[fe80::1]:PORT', 'refused'],
    // Look-alikes of PUBLIC_URL.
    ['http://localhost:PORT.evil.example', 'localhost:PORT', 'refused'],
    ['http://localhost:PORT@evil.example', 'localhost:PORT', 'refused'],
    ['http://evil.example#localhost:PORT', 'localhost:PORT', 'refused'],
    ['http://evil.example/http://localhost:PORT', 'localhost:PORT', 'refused'],
    ['http://localhost:PORT0', 'localhost:PORT', 'refused'],
    ['http://localhost.:PORT', 'localhost.:PORT', 'refused'],
    ['http://localhost.:PORT', 'localhost:PORT', 'refused'],
    ['http://localhost:PORT/', 'localhost:PORT', 'refused'],
    ['http://localhost:PORT/login', 'localhost:PORT', 'refused'],
    ['http://user@localhost:PORT', 'localhost:PORT', 'refused'],
    ['http://user:secret@localhost:PORT', 'localhost:PORT', 'refused'],
    ['HTTP://localhost:PORT', 'localhost:PORT', 'refused'],
    ['http://LOCALHOST:PORT', 'localhost:PORT', 'refused'],
    ['http://2130706433:PORT', '2130706433:PORT', 'refused'],
    ['http://localhost:PORT http://evil.example', 'localhost:PORT', 'refused'],
    ['http://localhost:PORT, https://evil.example', 'localhost:PORT', 'refused'],
    // Invalid hosts.
    ['http://evil.example', '', 'refused'],
    ['http://evil.example', 'evil.example@localhost:PORT', 'refused'],
    ['http://localhost:3000', 'localhost:3000@localhost:PORT', 'refused'],
    ['http://evil.example', 'localhost:PORT, evil.example', 'refused'],
    ['http://[', '[', 'refused'],
    // Look-alikes of an allowed origin.
    ['https://app.example.com:443', null, 'refused'],
    ['https://app.example.com:8443', null, 'refused'],
    ['https://app.example.com/', null, 'refused'],
    ['http://app.example.com', null, 'refused'],
    ['https://APP.example.com', null, 'refused'],
    ['https://evil.app.example.com', null, 'refused'],
    ['https://example.com', null, 'refused'],
    ['https://app.example.com.', null, 'refused'],
    ['http://localhost:5174', null, 'refused'],
  ] as const)('with an Origin of "%s" and a Host of %s: %s', async (origin, host, outcome) => {
    expect(await write(local, { origin, ...(host === null ? {} : { host }) })).toBe(outcome);
  });

  test.each([
    ['http://auth.example.com:PORT', 'auth.example.com:PORT', 'passes'],
    ['http://auth.example.com:PORT', '10.0.0.5:PORT', 'passes'],
    ['http://localhost:PORT', 'localhost:PORT', 'passes'],
    ['http://localhost:PORT', 'auth.example.com:PORT', 'refused'],
    ['http://auth.example.com', 'auth.example.com', 'refused'],
    ['http://auth.example.com:PORT', '', 'passes'],
    // A proxy with TLS in front, while PUBLIC_URL is http.
    ['https://auth.example.com:PORT', 'auth.example.com:PORT', 'passes'],
    ['https://auth.example.com:PORT', 'localhost:PORT', 'refused'],
    ['http://evil.auth.example.com:PORT', 'evil.auth.example.com:PORT', 'refused'],
    ['http://example.com:PORT', 'example.com:PORT', 'refused'],
    ['http://evil.example:PORT', 'evil.example:PORT', 'refused'],
    ['http://evil.example:PORT', 'auth.example.com:PORT', 'refused'],
    ['http://192.168.0.7:PORT', '192.168.0.7:PORT', 'refused'],
  ] as const)('if PUBLIC_URL has a name, with an Origin of %s and a Host of %s: %s', async (origin, host, outcome) => {
    expect(await write(named, { origin, host })).toBe(outcome);
  });

  test.each([
    ['https://auth.example.com:PORT', 'auth.example.com:PORT', 'passes'],
    // A proxy that sends its own name for this server as Host.
    ['https://auth.example.com:PORT', 'backend:8000', 'passes'],
    ['https://auth.example.com', 'auth.example.com', 'refused'],
    ['https://evil.example', 'auth.example.com:PORT', 'refused'],
    [allowed, 'auth.example.com:PORT', 'refused'],
  ] as const)('where PUBLIC_URL is https, with an Origin of %s and a Host of %s: %s', async (origin, host, outcome) => {
    expect(await write(secure, { origin, host })).toBe(outcome);
  });

  // Whoever can change what is sent over http must not write over https. A proxy with TLS sends the same Host for both.
  test.each([
    ['https', secure, 'https://auth.example.com:PORT', 'auth.example.com:PORT', 'passes'],
    ['https', secure, 'http://auth.example.com:PORT', 'auth.example.com:PORT', 'refused'],
    ['https', secure, 'http://auth.example.com:PORT', 'backend:8000', 'refused'],
    ['https', secure, 'http://auth.example.com', 'auth.example.com', 'refused'],
    ['https', secure, 'http://auth.example.com', 'auth.example.com:PORT', 'refused'],
    ['https', secure, 'http://auth.example.com:443', 'auth.example.com:443', 'refused'],
    ['https', secure, 'ws://auth.example.com:PORT', 'auth.example.com:PORT', 'refused'],
    // Only a program on this machine can be in between.
    ['https', secure, 'http://localhost:PORT', 'localhost:PORT', 'passes'],
    ['https', secure, 'http://127.0.0.1:PORT', '127.0.0.1:PORT', 'passes'],
    ['https', secure, 'http://localhost:PORT', 'auth.example.com:PORT', 'refused'],
    // A proxy with TLS in front, while PUBLIC_URL is http.
    ['http', named, 'https://auth.example.com:PORT', 'auth.example.com:PORT', 'passes'],
    ['http', named, 'http://auth.example.com:PORT', 'auth.example.com:PORT', 'passes'],
  ] as const)(
    'of a page with another scheme: PUBLIC_URL $0, $2 at $3: $4',
    async (_, server, origin, host, outcome) => {
      expect(await write(server, { origin, host })).toBe(outcome);
    },
  );

  test('is refused if Origin appears twice', async () => {
    for (const face of faces) {
      for (const [first, second] of [
        [local.url, local.url],
        [local.url, 'https://evil.example'],
        ['https://evil.example', allowed],
      ] as const) {
        const answer = await sendRaw(local.url, `POST ${logoutPath[face]}`, {
          headers: [
            ['Origin', first],
            ['Origin', second],
          ],
        });
        expect(refusal(face, answer)).toBe('FORBIDDEN');
      }
    }
  });

  test('is not allowed because of other headers that a page or a proxy may send', async () => {
    for (const headers of [
      { 'x-forwarded-host': 'evil.example' },
      { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', forwarded: 'host=evil.example' },
      { 'x-requested-with': 'XMLHttpRequest' },
      { referer: `${local.url}/login` },
      { authorization: 'Basic b3BlcmF0b3I6eA==' },
      { authorization: 'Bearer something' },
      { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1' },
    ]) {
      expect(await write(local, { ...headers, origin: 'https://evil.example' })).toBe('refused');
      expect(await write(local, { ...headers, 'sec-fetch-site': 'cross-site' })).toBe('refused');
    }
  });
});

test('a BackChannel token, which no foreign page can send, is exempt, and cookies are ignored beside it', async () => {
  const client = local.client();
  await client.signIn();
  const headers = { ...json, cookie: client.cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  for (const [face, path] of [
    ['REST', '/api/v1/auth/hash-password'],
    ['tRPC', '/trpc/auth.hashPassword'],
  ] as const) {
    for (const [authorization, code] of [
      ['Bearer bct_nothing', 'UNAUTHORIZED'],
      ['bearer bct_nothing', 'UNAUTHORIZED'],
      ['Bearer nothing', 'FORBIDDEN'],
      ['Bearer', 'FORBIDDEN'],
      ['Bearer bct', 'FORBIDDEN'],
      ['Basic bct_nothing', 'FORBIDDEN'],
      ['Basic b3BlcmF0b3I6YmN0X25vdGhpbmc=', 'FORBIDDEN'],
      ['bct_nothing', 'FORBIDDEN'],
    ] as const) {
      const answer = await sendRaw(local.url, `POST ${path}`, {
        headers: { ...headers, authorization },
        body: rightPassword,
      });
      expect([authorization, refusal(face, answer)]).toEqual([authorization, code]);
    }
  }
  expect((await client.rest('GET', '/auth/me')).status).toBe(200);
});

describe.each(faces)('over %s', (face) => {
  test.each(writes)('$name refuses a foreign page before anything else is checked', async (operation) => {
    const { method, path } = targetOf(face, operation);
    const client = local.client();
    await client.signIn();
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ]) {
      for (const body of [rightPassword, '{', 'x'.repeat(100_000)]) {
        const answer = await sendRaw(local.url, `${method} ${path}`, {
          headers: { ...headers, cookie: client.cookie, 'content-type': 'text/plain' },
          body,
        });
        expect([answer.status, refusal(face, answer)]).toEqual([403, 'FORBIDDEN']);
      }
    }
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });

  test('a form on a foreign page cannot sign in', async () => {
    const form = '{"password":"correct horse battery","x":"="}';
    for (const [type, body] of [
      ['text/plain', form],
      ['application/x-www-form-urlencoded', `password=${encodeURIComponent(PASSWORD)}`],
      [
        'multipart/form-data; boundary=x',
        '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nx\r\n--x--\r\n',
      ],
      ['application/json', rightPassword],
    ] as const) {
      const headers = { 'content-type': type };
      const foreign = { ...headers, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
      const answer = await sendRaw(local.url, `POST ${loginPath[face]}`, { headers: foreign, body });
      expect([type, refusal(face, answer)]).toEqual([type, 'FORBIDDEN']);
      // Sandboxed frames, and pages with the policy no-referrer.
      const crossSite = await sendRaw(local.url, `POST ${loginPath[face]}`, {
        headers: { ...headers, origin: 'null' },
        body,
      });
      expect([type, refusal(face, crossSite)]).toEqual([type, 'FORBIDDEN']);
      // An old browser that sends neither header still can't send JSON from a form.
      if (type === 'application/json') continue;
      const old = await sendRaw(local.url, `POST ${loginPath[face]}`, { headers, body });
      expect([type, refusal(face, old)]).toEqual([type, 'UNSUPPORTED_MEDIA_TYPE']);
    }
  });

  test('an allowed page signs in, and can read the response', async () => {
    const headers = { ...json, origin: allowed, 'sec-fetch-site': 'cross-site' };
    const answer = await sendRaw(local.url, `POST ${loginPath[face]}`, { headers, body: rightPassword });
    expect(answer.status).toBe(200);
    expect(answer.headers['set-cookie']?.join()).toContain('backchannel_session=');
    expect(answer.headers['access-control-allow-origin']).toEqual([allowed]);
  });

  test.each(reads)('$name is allowed from every origin', async (operation) => {
    const { method, path } = targetOf(face, operation);
    const client = local.client();
    await client.signIn();
    for (const origin of ['https://evil.example', 'null', allowed, local.url]) {
      const answer = await sendRaw(local.url, `${method} ${path}`, {
        headers: { origin, 'sec-fetch-site': 'cross-site', cookie: client.cookie },
      });
      expect(answer.status).toBe(200);
      // The browser does not let the page read the response.
      expect(answer.headers['access-control-allow-origin']).toEqual(origin === allowed ? [allowed] : undefined);
    }
  });
});

describe('CORS', () => {
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' };
  const corsOf = ({ headers }: RawAnswer) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')));

  test.each(Object.values(loginPath))('allows a preflight from an allowed origin at %s', async (path) => {
    for (const origin of allowedOrigins) {
      const answer = await sendRaw(local.url, `OPTIONS ${path}`, { headers: { origin, ...preflight } });
      expect(answer).toMatchObject({ status: 204, text: '' });
      const list = (name: string) => answer.headers[`access-control-${name}`]?.[0]?.toLowerCase().split(/, */);
      expect(answer.headers['access-control-allow-origin']).toEqual([origin]);
      expect(answer.headers['access-control-allow-credentials']).toEqual(['true']);
      expect(list('allow-methods')).toEqual(expect.arrayContaining(['get', 'post', 'delete']));
      expect(list('allow-headers')).toEqual(expect.arrayContaining(['authorization', 'content-type']));
      expect(Number(answer.headers['access-control-max-age'])).toBeLessThanOrEqual(7200);
      expect(answer.headers.vary?.join()).toContain('Origin');
    }
  });

  test.each([
    'https://evil.example',
    'null',
    '*',
    '',
    'https://app.example.com.evil.example',
    'https://app.example.com/',
    'http://app.example.com',
    'https://APP.example.com',
    'http://localhost:5173, https://evil.example',
    'http://localhost:PORT',
  ])('has nothing for "%s"', async (text) => {
    const origin = text.replace('PORT', new URL(local.url).port);
    for (const face of faces) {
      for (const line of [
        `OPTIONS ${loginPath[face]}`,
        `POST ${loginPath[face]}`,
        'GET /api/v1/auth/me',
        'GET /trpc/auth.me',
      ]) {
        const answer = await sendRaw(local.url, line, { headers: { origin, ...preflight } });
        expect(corsOf(answer)).toEqual({});
        expect(answer.headers.vary?.join()).toContain('Origin');
      }
    }
  });

  test('lets an allowed page read every response, including errors and Retry-After', async () => {
    const post = { ...json, origin: allowed };
    const answers = await Promise.all([
      sendRaw(local.url, 'GET /api/v1/auth/status', { headers: { origin: allowed } }),
      sendRaw(local.url, 'GET /trpc/auth.status', { headers: { origin: allowed } }),
      sendRaw(local.url, 'GET /api/v1/auth/me', { headers: { origin: allowed } }),
      sendRaw(local.url, 'GET /trpc/auth.me', { headers: { origin: allowed } }),
      sendRaw(local.url, 'GET /api/v1/nothing', { headers: { origin: allowed } }),
      sendRaw(local.url, 'GET /trpc/no/thing', { headers: { origin: allowed } }),
      sendRaw(local.url, 'PUT /api/v1/auth/me', { headers: { origin: allowed } }),
      sendRaw(local.url, 'PUT /trpc/auth.me', { headers: { origin: allowed } }),
      // Not a preflight, because it requests no method.
      sendRaw(local.url, 'OPTIONS /api/v1/auth/me', { headers: { origin: allowed } }),
      sendRaw(local.url, 'OPTIONS /trpc/auth.me', { headers: { origin: allowed } }),
      sendRaw(local.url, 'POST /api/v1/auth/login', { headers: post, body: '{' }),
      sendRaw(local.url, 'POST /trpc/auth.login', { headers: post, body: '{' }),
      sendRaw(local.url, 'POST /api/v1/auth/login', { headers: post, body: 'x'.repeat(70_000) }),
      sendRaw(local.url, 'POST /trpc/auth.login', { headers: post, body: 'x'.repeat(70_000) }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([
      200, 200, 401, 401, 404, 404, 405, 405, 204, 204, 400, 400, 413, 413,
    ]);
    for (const answer of answers) {
      expect(corsOf(answer)).toEqual({
        'access-control-allow-origin': [allowed],
        'access-control-allow-credentials': ['true'],
        'access-control-expose-headers': ['Retry-After, X-Request-Id'],
      });
      expect(answer.headers.vary?.join()).toContain('Origin');
    }
  });

  test('sends no headers without ALLOWED_ORIGINS, and outside of the API', async () => {
    for (const line of ['OPTIONS /api/v1/auth/login', 'OPTIONS /trpc/auth.login', 'GET /api/v1/auth/status']) {
      expect(corsOf(await sendRaw(closed.url, line, { headers: { origin: allowed, ...preflight } }))).toEqual({});
    }
    for (const line of ['GET /healthz', 'GET /readyz', 'GET /nothing', 'OPTIONS /nothing']) {
      expect(corsOf(await sendRaw(local.url, line, { headers: { origin: allowed, ...preflight } }))).toEqual({});
    }
  });
});
