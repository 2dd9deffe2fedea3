// Runs on one engine: headers don't depend on the database.
import { afterAll, describe, expect, test } from 'vitest';
import { openElsewhere } from '../support/elsewhere.ts';
import {
  type Face,
  operations,
  PASSWORD,
  sendRaw,
  startServer,
  type TestServer,
  targetOf,
} from '../support/harness.ts';

const faces: Face[] = ['REST', 'tRPC'];
const json = { 'content-type': 'application/json' };
const rightPassword = JSON.stringify({ password: PASSWORD });
const loginPath = { REST: '/api/v1/auth/login', tRPC: '/trpc/auth.login' };
const logoutPath = { REST: '/api/v1/auth/logout', tRPC: '/trpc/auth.logout' };

const server = await startServer({ loginMaxFailures: 1000 });
const secure = await startServer({
  publicUrl: 'https://localhost:0',
  secureCookies: true,
  cookieName: '__Host-backchannel_session',
});
const operator = server.client();
await operator.signIn();
afterAll(() => Promise.all([server, secure].map((each) => each[Symbol.asyncDispose]())));

const security = {
  'content-security-policy': ["default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"],
  'referrer-policy': ['same-origin'],
  'x-content-type-options': ['nosniff'],
  'cross-origin-opener-policy': ['same-origin'],
  'cross-origin-resource-policy': ['same-origin'],
  'x-frame-options': ['DENY'],
};

describe('every kind of response has the security headers and does not name the software', () => {
  const large = 'x'.repeat(70_000);
  test.each([
    ['GET /api/v1/auth/status', 200, {}],
    ['HEAD /api/v1/auth/status', 200, {}],
    ['OPTIONS /api/v1/auth/login', 204, {}],
    ['POST /api/v1/auth/login', 200, { headers: json, body: rightPassword }],
    ['POST /api/v1/auth/logout', 200, {}],
    ['POST /api/v1/auth/login', 400, { headers: json, body: '{' }],
    ['GET /api/v1/auth/status?x=1', 400, {}],
    ['GET /api/v1/auth/me', 401, {}],
    ['POST /api/v1/auth/logout', 403, { headers: { 'sec-fetch-site': 'cross-site' } }],
    ['GET /api/v1/nothing', 404, {}],
    ['GET /api/v1', 404, {}],
    ['PUT /api/v1/auth/me', 405, {}],
    ['POST /api/v1/auth/login', 413, { headers: json, body: large }],
    ['POST /api/v1/auth/login', 415, { body: rightPassword }],
    ['GET /trpc/auth.status', 200, {}],
    ['HEAD /trpc/auth.status', 200, {}],
    ['OPTIONS /trpc/auth.login', 204, {}],
    ['POST /trpc/auth.login', 200, { headers: json, body: rightPassword }],
    ['POST /trpc/auth.login', 400, { headers: json, body: '{' }],
    ['GET /trpc/auth.me', 401, {}],
    ['GET /trpc/auth.me,auth.status?batch=1', 207, {}],
    ['POST /trpc/auth.logout', 403, { headers: { 'sec-fetch-site': 'cross-site' } }],
    ['GET /trpc/nothing', 404, {}],
    ['GET /trpc/no/thing', 404, {}],
    ['PUT /trpc/auth.me', 405, {}],
    ['POST /trpc/auth.login', 413, { headers: json, body: large }],
    ['POST /trpc/auth.login', 415, { body: rightPassword }],
    ['GET /healthz', 200, {}],
    ['GET /readyz', 200, {}],
    ['POST /healthz', 405, {}],
    ['GET /nothing', 404, {}],
    ['GET //', 404, {}],
    ['GET /%ff%zz', 404, {}],
    ['OPTIONS *', 404, {}],
    ['GET http://[bad/nothing', 400, {}],
    ['GET /api/v1/auth/status#x', 404, {}],
  ] as const)('%s: %i', async (line, status, options) => {
    const answer = await sendRaw(server.url, line, options as Parameters<typeof sendRaw>[2]);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({ ...security, 'cache-control': ['no-store'] });
    for (const name of ['x-powered-by', 'server', 'etag', 'last-modified'])
      expect(answer.headers[name]).toBeUndefined();
    const { 'set-cookie': _cookies, ...once } = answer.headers;
    expect(Object.values(once).every((values) => values.length === 1)).toBe(true);
    const hasBody = status !== 204 && !line.startsWith('HEAD');
    if (hasBody) expect(answer.headers['content-type']).toEqual(['application/json; charset=utf-8']);
    expect(answer.text === '').toBe(!hasBody);
  });

  test('500 and 503', async () => {
    await using broken = await startServer();
    const client = broken.client();
    await client.signIn();
    await using db = await openElsewhere(broken);
    await db.run('alter table backchannel_sessions rename to elsewhere');
    broken.advance(1000);
    for (const path of ['/api/v1/auth/me', '/trpc/auth.me']) {
      const answer = await sendRaw(broken.url, `GET ${path}`, { headers: { cookie: client.cookie } });
      expect(answer.status).toBe(500);
      expect(answer.headers).toMatchObject({ ...security, 'cache-control': ['no-store'] });
    }
    await db.run("delete from backchannel_migrations where name = '0001-seed'");
    const ready = await sendRaw(broken.url, 'GET /readyz');
    expect([ready.status, ready.json]).toEqual([503, { status: 'unavailable', missing: ['migrations'] }]);
    expect(ready.headers).toMatchObject({ ...security, 'cache-control': ['no-store'] });
    expect((await sendRaw(broken.url, 'GET /healthz')).status).toBe(200);
  });

  test('no response is 304', async () => {
    for (const path of ['/api/v1/auth/status', '/trpc/auth.status']) {
      for (const headers of [{ 'if-none-match': '*' }, { 'if-modified-since': 'Fri, 01 Jan 2100 00:00:00 GMT' }]) {
        expect((await sendRaw(server.url, `GET ${path}`, { headers })).status).toBe(200);
      }
    }
  });
});

const cookieLines = async (of: TestServer, path: string, options: Parameters<typeof sendRaw>[2] = {}) => {
  const answer = await sendRaw(of.url, `POST ${path}`, { ...options, headers: { ...json, ...options.headers } });
  expect(answer.status).toBe(200);
  return (answer.headers['set-cookie'] ?? []).filter((line) => /^(__Host-)?backchannel_session=/.test(line));
};
const TOKEN = '[\\w-]+\\.[\\w-]+\\.[\\w-]+';
// 30 days, minus the time that the request took.
const DAYS_30 = '(2592000|2591999)';

describe.each(faces)('the session cookie over %s', (face) => {
  test('is HttpOnly, Lax, host-only, and expires with the session', async () => {
    for (const remember of [true, false]) {
      const lines = await cookieLines(server, loginPath[face], {
        body: JSON.stringify({ password: PASSWORD, remember }),
      });
      const expected = `^backchannel_session=${TOKEN}; Max-Age=${DAYS_30}; Path=/; HttpOnly; SameSite=Lax$`;
      expect(lines).toEqual([expect.stringMatching(expected)]);
    }
    expect(await cookieLines(server, logoutPath[face])).toEqual([
      'backchannel_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
    ]);
  });

  test('is Secure and has the __Host- prefix if PUBLIC_URL is https', async () => {
    const expected = `^__Host-backchannel_session=${TOKEN}; Max-Age=${DAYS_30}; Path=/; HttpOnly; Secure; SameSite=Lax$`;
    const lines = await cookieLines(secure, loginPath[face], { body: rightPassword });
    expect(lines).toEqual([expect.stringMatching(expected)]);
    expect(await cookieLines(secure, logoutPath[face])).toEqual([
      '__Host-backchannel_session=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
    ]);
    // Any page of the same host can set the name without the prefix over http.
    const value = /=([^;]+)/.exec(lines[0] ?? '')?.[1];
    for (const [name, status] of [
      ['__Host-backchannel_session', 200],
      ['backchannel_session', 401],
      ['__Secure-backchannel_session', 401],
    ] as const) {
      const answer = await sendRaw(secure.url, 'GET /api/v1/auth/me', { headers: { cookie: `${name}=${value}` } });
      expect([name, answer.status]).toEqual([name, status]);
    }
  });

  test('is only set by a sign-in, and its value is in no body', async () => {
    const client = server.client();
    const login = await (face === 'REST'
      ? client.signIn()
      : client.trpc('mutation', 'auth.login', { password: PASSWORD }));
    const secrets = client.cookie
      .split(/[=;.\s]+/)
      .filter((part) => part.length > 12 && !part.startsWith('backchannel'));
    expect(secrets.length).toBeGreaterThanOrEqual(3);
    const bodies = [JSON.stringify(login.body)];
    for (const operation of operations.filter(({ type }) => type === 'query')) {
      const { path } = targetOf(face, operation);
      const answer = await sendRaw(server.url, `GET ${path}`, { headers: { cookie: client.cookie } });
      expect([operation.name, answer.status, answer.headers['set-cookie']]).toEqual([operation.name, 200, undefined]);
      bodies.push(answer.text);
    }
    for (const secret of secrets) expect(bodies.filter((body) => body.includes(secret))).toEqual([]);
  });
});

describe('a Cookie header', () => {
  const [, token = ''] = /backchannel_session=([^;]+)/.exec(operator.cookie) ?? [];
  const [head = '', payload = '', signature = ''] = token.split('.');
  const good = `backchannel_session=${token}`;
  const isSignedIn = async (...cookies: string[]) => {
    const headers = cookies.map((cookie): [string, string] => ['Cookie', cookie]);
    const statuses = await Promise.all(
      ['/api/v1/auth/me', '/trpc/auth.me'].map(
        async (path) => (await sendRaw(server.url, `GET ${path}`, { headers })).status,
      ),
    );
    expect(new Set(statuses).size).toBe(1);
    return statuses[0] === 200 || (statuses[0] === 401 ? false : statuses[0]);
  };

  test.each([
    ['the cookie alone', good],
    ['others around it', `a=b; ${good}; c="d"; e`],
    ['no space after the semicolon', `a=b;${good};c=d`],
    ['more space than usual', `a=b;  \t${good}  ; c=d`],
    ['empty pairs', `;; ; ${good};;`],
    ['pairs without a name', `=x; ==; ${good}`],
    ['an old value before it', `backchannel_session=old; ${good}`],
    ['two old values before it', `backchannel_session=old; backchannel_session=${head}.${payload}.x; ${good}`],
    ['an empty value before it', `backchannel_session=; ${good}`],
    ['values of 2 KB before it', `${`backchannel_session=${'x'.repeat(2048)}; `.repeat(5)}${good}`],
    ['an old value after it', `${good}; backchannel_session=old`],
    ['any number of old values before it', `${'backchannel_session=old; '.repeat(20)}${good}`],
    ['look-alike names', `xbackchannel_session=x; backchannel_sessionx=y; Backchannel_Session=z; ${good}`],
    ['500 others', `${Array.from({ length: 500 }, (_, n) => `c${n}=${n}`).join('; ')}; ${good}`],
  ])('authenticates with %s', async (_name, cookie) => {
    expect(await isSignedIn(cookie)).toBe(true);
  });

  test('may appear twice', async () => {
    expect(await isSignedIn('a=b', good)).toBe(true);
    expect(await isSignedIn('backchannel_session=old', good)).toBe(true);
  });

  test.each([
    ['nothing', ''],
    ['no value', 'backchannel_session'],
    ['an empty value', 'backchannel_session='],
    ['garbage', 'backchannel_session=\u0001\u007f%00"\\'],
    ['JSON', 'backchannel_session={"alg":"none"}'],
    ['a quote on one side of the value', `backchannel_session="${token}`],
    ['a percent-encoded value', `backchannel_session=${token.replaceAll('.', '%2E')}`],
    ['another case of the name', `Backchannel_Session=${token}`],
    ['a percent-encoded name', `backchannel%5Fsession=${token}`],
    ['a prefix before the name', `__Host-${good}`],
    ['more than 1 KB', `backchannel_session=${token}${'.'.repeat(1024)}`],
    ['15 KB', `backchannel_session=${'x'.repeat(15_000)}`],
    ['three old values after it', `${good}${'; backchannel_session=old'.repeat(3)}`],
    ['a comma for a semicolon', `a=b, ${good}`],
    [
      'another signature',
      `backchannel_session=${head}.${payload}.${signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}`,
    ],
    ['no signature', `backchannel_session=${head}.${payload}.`],
    ['two parts', `backchannel_session=${head}.${payload}`],
    ['four parts', `backchannel_session=${token}.x`],
    [
      'alg none',
      `backchannel_session=${Buffer.from('{"alg":"none","typ":"session+jwt"}').toString('base64url')}.${payload}.`,
    ],
    ['names from Object.prototype', 'backchannel_session=__proto__; __proto__=x; constructor=y; toString=z'],
  ])('does not authenticate with %s', async (_name, cookie) => {
    // Node itself refuses control characters in a header.
    expect([false, 400]).toContain(await isSignedIn(cookie));
  });
});
