// Forward-auth: which requests are allowed, what the proxy receives, and where refused browsers are sent.
import { afterAll, describe, expect, test, vi } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { createLog } from '../../../src/log.ts';
import { tearTable } from '../../support/elsewhere.ts';
import {
  type Face,
  operations,
  PASSWORD,
  type RawAnswer,
  readError,
  sendBytes,
  sendRaw,
  startServer,
  type TestServer,
  targetOf,
} from '../../support/harness.ts';

type Headers = Record<string, string>;

const json = { 'Content-Type': 'application/json' };
const sso: Partial<Config> = {
  publicUrl: 'https://auth.example.com:0',
  secureCookies: true,
  cookieName: '__Host-backchannel_session',
  cookieDomain: 'example.com',
  trustedProxies: ['127.0.0.1'],
};

const verify = (server: TestServer, headers: Headers = {}, { method = 'GET', query = '', body = '' } = {}) =>
  sendRaw(server.url, `${method} /api/v1/auth/verify${query}`, { headers, ...(body ? { body } : {}) });

/** The cookies that signing in sets, by name. */
async function signIn(server: TestServer): Promise<Map<string, string>> {
  const body = JSON.stringify({ password: PASSWORD });
  const answer = await sendRaw(server.url, 'POST /api/v1/auth/login', { headers: json, body });
  expect(answer.status).toBe(200);
  return new Map(
    (answer.headers['set-cookie'] ?? []).map((line) => /^([^=]+)=([^;]*)/.exec(line)?.slice(1, 3) as [string, string]),
  );
}

const sessionCookie = async (server: TestServer): Promise<Headers> => {
  const { cookieName } = server.config;
  return { Cookie: `${cookieName}=${(await signIn(server)).get(cookieName)}` };
};

async function makeToken(server: TestServer, input: object = {}): Promise<{ id: string; secret: string }> {
  const headers = { ...json, ...(await sessionCookie(server)) };
  const body = JSON.stringify({ name: 'a token', scope: 'proxy', ...input });
  const answer = await sendRaw(server.url, 'POST /api/v1/auth/tokens', { headers, body });
  expect(answer.status, answer.text).toBe(200);
  return { id: answer.json.token.id, secret: answer.json.secret };
}

const bearer = (secret: string): Headers => ({ Authorization: `Bearer ${secret}` });
const basic = (user: string, password: string): Headers => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
const forwarded = (address: string, method = 'GET'): Headers => {
  const { protocol, host, pathname, search } = new URL(address);
  return {
    'X-Forwarded-Method': method,
    'X-Forwarded-Proto': protocol.slice(0, -1),
    'X-Forwarded-Host': host,
    'X-Forwarded-Uri': pathname + search,
  };
};
const navigation: Headers = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document', Accept: 'text/html' };

const identity = ({ headers }: RawAnswer) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => /^(remote|x(?!-request-id))-/.test(name)));

/** No identity headers, and an error in the API's shape. */
function expectRefused(answer: RawAnswer, challenge = 'Bearer realm="backchannel"') {
  expect(answer.status).toBe(401);
  expect(identity(answer)).toEqual({ 'x-content-type-options': ['nosniff'], 'x-frame-options': ['DENY'] });
  expect(answer.headers['www-authenticate']).toEqual([challenge]);
  expect(answer.headers['set-cookie']).toBeUndefined();
  expect(answer.headers['cache-control']).toEqual(['no-store']);
  expect(readError('REST', 401, answer.json).code).toBe('UNAUTHORIZED');
}

const nextOf = (answer: RawAnswer) => {
  const [location] = answer.headers.location ?? [];
  return location === undefined ? undefined : new URL(location).searchParams.get('next');
};

const plain = await startServer({ trustedProxies: ['127.0.0.1'] });
const secure = await startServer(sso);
afterAll(async () => {
  await plain[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
});

describe('allowed:', () => {
  test('a session, with all identity headers and no body', async () => {
    const cookie = await sessionCookie(plain);
    const me = await sendRaw(plain.url, 'GET /api/v1/auth/me', { headers: cookie });
    const answer = await verify(plain, cookie);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(identity(answer)).toEqual({
      'remote-user': ['operator'],
      'x-auth-method': ['session'],
      'x-auth-session': [me.json.session.id],
    });
    expect(answer.headers['cache-control']).toEqual(['no-store']);
  });

  test('a proxy token in each of its forms', async () => {
    await using named = await startServer({ operatorName: 'alice b', operatorEmail: 'alice@example.com' });
    const { secret } = await makeToken(named);
    for (const headers of [
      bearer(secret),
      basic('anything', secret),
      basic('', secret),
      { 'X-Backchannel-Token': secret },
    ]) {
      const answer = await verify(named, headers);
      expect(answer.status).toBe(204);
      expect(identity(answer)).toEqual({
        'remote-user': ['alice b'],
        'remote-email': ['alice@example.com'],
        'x-auth-method': ['token'],
        'x-auth-session': ['-'],
      });
    }
  });

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'TRACE'])(
    '%s gets the same response as any other method, whatever its origin and body',
    async (method) => {
      const foreign = {
        Origin: 'https://evil.example',
        'Sec-Fetch-Site': 'cross-site',
        'Access-Control-Request-Method': 'POST',
      };
      const body = method === 'TRACE' ? '' : '{"not": "looked at"';
      const good = await verify(plain, { ...(await sessionCookie(plain)), ...foreign }, { method, body });
      expect([good.status, good.headers['x-auth-method'], good.headers.allow]).toEqual([204, ['session'], undefined]);
      const bad = await verify(plain, foreign, { method, body });
      expect([bad.status, bad.headers['www-authenticate']]).toEqual([401, ['Bearer realm="backchannel"']]);
      expect([bad.headers['access-control-allow-origin'], bad.headers.location]).toEqual([undefined, undefined]);
    },
  );

  test.each(['GET', 'HEAD'])(
    'a body that %s announces but a proxy does not send leaves the next request intact',
    async (method) => {
      const keepAlive = { ...(await sessionCookie(plain)), Connection: 'keep-alive' };
      for (const promise of [{ 'Content-Length': '10' }, { 'Transfer-Encoding': 'chunked' }]) {
        const answer = await verify(plain, { ...keepAlive, ...promise }, { method });
        expect([answer.status, answer.headers.connection]).toEqual([204, ['close']]);
      }
    },
  );

  test('the rest of the query string changes nothing', async () => {
    const answer = await verify(plain, await sessionCookie(plain), { query: '?redirect=1&basic=1&next=x&next=y' });
    expect(answer.status).toBe(204);
  });

  test.each([
    '/api/v1/auth/verify/',
    '/api/v1/auth/verifyx',
    '/api/v1/auth/Verify',
    '/api/v1/auth/verify%3f',
    '//api/v1/auth/verify',
  ])('%s is another path, which allows nothing', async (path) => {
    const answer = await sendRaw(plain.url, `GET ${path}`, { headers: await sessionCookie(plain) });
    expect(answer.status).toBe(404);
    expect(answer.headers['remote-user']).toBeUndefined();
  });

  test('an allowed request counts as a use of the session or token', async () => {
    await using server = await startServer();
    const cookie = await sessionCookie(server);
    const { id, secret } = await makeToken(server);
    server.advance(50 * 60_000);
    expect((await verify(server, cookie)).status).toBe(204);
    expect((await verify(server, bearer(secret))).status).toBe(204);
    server.advance(50 * 60_000);
    expect((await verify(server, cookie)).status).toBe(204);
    const list = await sendRaw(server.url, 'GET /api/v1/auth/tokens', { headers: cookie });
    const [token] = list.json.tokens.filter((each: { id: string }) => each.id === id);
    expect([token.lastUsedIp, typeof token.lastUsedAt]).toEqual(['127.0.0.1', 'string']);
  });
});

describe('refused:', () => {
  test.each<[string, Headers]>([
    ['no credential', {}],
    ['a garbage session', { Cookie: 'backchannel_session=garbage' }],
    ['a cookie of over a kilobyte', { Cookie: `backchannel_session=${'x'.repeat(3000)}` }],
    ['the master password', basic('operator', PASSWORD)],
    ['an unknown token', bearer(`bct_${'A'.repeat(43)}`)],
    ['a truncated token', { 'X-Backchannel-Token': 'bct_' }],
    ['an empty header', { 'X-Backchannel-Token': '' }],
    [
      'forged identity headers',
      { 'Remote-User': 'operator', 'X-Auth-Session': 'a'.repeat(24), 'X-Auth-Method': 'session' },
    ],
    ['Basic without base64', { Authorization: 'Basic %%%' }],
  ])('%s', async (_who, headers) => {
    expectRefused(await verify(plain, headers));
    expectRefused(await verify(plain, headers, { query: '?redirect=1' }));
    const asked = await verify(plain, headers, { query: '?basic=1' });
    // Clients such as containers/image take the first one that they know.
    expectRefused(asked, 'Basic realm="backchannel", charset="UTF-8", Bearer realm="backchannel"');
  });

  test.each(['read', 'full'])('a %s token, which is for the API', async (scope) => {
    const { secret } = await makeToken(plain, { scope });
    for (const headers of [bearer(secret), basic('x', secret), { 'X-Backchannel-Token': secret }]) {
      expectRefused(await verify(plain, { ...headers, ...(await sessionCookie(plain)) }));
    }
  });

  test('a BackChannel token decides alone; any other Authorization is ignored', async () => {
    const cookie = await sessionCookie(plain);
    const ended = bearer(`bct_${'A'.repeat(43)}`);
    expectRefused(await verify(plain, { ...cookie, ...ended }));
    const withoutColon = { Authorization: `Basic ${Buffer.from('bct_x').toString('base64')}` };
    for (const foreign of [
      basic('app', 'own password'),
      basic('app', 'own:bct_x'),
      withoutColon,
      bearer('somebody.elses.jwt'),
      { Authorization: 'Digest x' },
    ]) {
      expect((await verify(plain, { ...cookie, ...foreign })).status).toBe(204);
    }
    // Our own header decides whatever it contains, even beside a valid token in Authorization.
    const { secret } = await makeToken(plain);
    expect((await verify(plain, bearer(secret))).status).toBe(204);
    for (const value of ['', 'x', `bct_${'A'.repeat(43)}`]) {
      expectRefused(await verify(plain, { ...cookie, ...bearer(secret), 'X-Backchannel-Token': value }));
    }
  });

  test('a token that is limited to hosts is only accepted there, as reported by a trusted proxy', async () => {
    const { secret } = await makeToken(plain, { hosts: ['photos.example.com'] });
    const at = (address: string, more: Headers = {}) =>
      verify(plain, { ...bearer(secret), ...forwarded(address), ...more });
    expect((await at('https://photos.example.com/a')).status).toBe(204);
    expect((await at('https://photos.example.com:8443/a')).status).toBe(204);
    expect((await at('wss://photos.example.com/socket')).status).toBe(204);
    expect((await at('https://PHOTOS.example.com/a')).status).toBe(204);
    expectRefused(await at('https://mail.example.com/'));
    expectRefused(await at('https://photos.example.com.evil.example/'));
    expectRefused(await at('https://x/', { 'X-Forwarded-Host': 'photos.example.com, mail.example.com' }));
    expectRefused(await at('https://x/', { 'X-Forwarded-Host': 'mail.example.com/@photos.example.com' }));
    // URLs drop invisible characters, but a proxy routes such a name to another application.
    for (const host of ['photos.example.com%C2%AD', 'photos.example.com\u00ad', 'photos.example.com%E2%80%8B:443']) {
      expectRefused(await at('https://x/', { 'X-Forwarded-Host': host }));
    }
    // URLs also turn letters into Punycode, and 127.1 into 127.0.0.1.
    for (const [host, spelling] of [
      ['xn--caf-dma.example.com', 'caf\u00e9.example.com'],
      ['127.0.0.1', '127.1'],
    ] as const) {
      const limited = bearer((await makeToken(plain, { hosts: [host] })).secret);
      expect((await verify(plain, { ...limited, 'X-Forwarded-Host': host })).status).toBe(204);
      expectRefused(await verify(plain, { ...limited, 'X-Forwarded-Host': spelling }));
    }
    expectRefused(await verify(plain, bearer(secret)));
    await using trusting = await startServer();
    const other = await makeToken(trusting, { hosts: ['photos.example.com'] });
    expectRefused(await verify(trusting, { ...bearer(other.secret), ...forwarded('https://photos.example.com/a') }));
  });

  test('sign-out, revocation and a password change take effect at the next request', async () => {
    await using server = await startServer({ password: { from: 'database', builtInAllowed: true } });
    const signInOwn = async () => {
      const client = server.client();
      await client.rest('POST', '/auth/login', { password: 'admin123' });
      return client;
    };
    const leaving = await signInOwn();
    const passes = async (headers: Headers) => (await verify(server, headers)).status === 204;
    expect(await passes({ Cookie: leaving.cookie })).toBe(true);
    const { cookie } = leaving;
    await leaving.rest('POST', '/auth/logout');
    expect(await passes({ Cookie: cookie })).toBe(false);

    const other = await signInOwn();
    const own = await signInOwn();
    const made = await own.rest('POST', '/auth/tokens', { name: 'a token', scope: 'proxy' });
    expect(await passes(bearer(made.body.secret))).toBe(true);
    await own.rest('DELETE', `/auth/tokens/${made.body.token.id}`);
    expect(await passes(bearer(made.body.secret))).toBe(false);

    expect(await passes({ Cookie: other.cookie })).toBe(true);
    await own.rest('POST', '/auth/password', { current: 'admin123', new: 'another one entirely' });
    expect(await passes({ Cookie: other.cookie })).toBe(false);
    expect(await passes({ Cookie: own.cookie })).toBe(true);
    server.advance(61 * 60_000);
    expect(await passes({ Cookie: own.cookie })).toBe(false);
  });

  test('everything while the database is unavailable, and everything works again afterwards', async () => {
    await using server = await startServer();
    const cookie = await sessionCookie(server);
    const { secret } = await makeToken(server);
    const torn = [await tearTable(server, 'sessions'), await tearTable(server, 'tokens')];
    for (const headers of [cookie, bearer(secret)]) {
      server.advance(1000);
      const answer = await verify(server, headers, { query: '?redirect=1' });
      expect([answer.status, answer.headers['remote-user'], answer.headers.location]).toEqual([
        503,
        undefined,
        undefined,
      ]);
      expect(readError('REST', 503, answer.json).code).toBe('SERVICE_UNAVAILABLE');
      expect(answer.headers['retry-after']).toEqual(['2']);
    }
    for (const table of torn.reverse()) await table.mend();
    for (const headers of [cookie, bearer(secret)]) expect((await verify(server, headers)).status).toBe(204);
  });
});

describe('the pass, the second cookie of a session', () => {
  const PASS = '__Secure-backchannel_pass';

  test('is set on COOKIE_DOMAIN beside the session cookie, and cleared with it', async () => {
    const body = JSON.stringify({ password: PASSWORD });
    const login = await sendRaw(secure.url, 'POST /api/v1/auth/login', { headers: json, body });
    const lines = login.headers['set-cookie'] ?? [];
    expect(
      lines.map((line) =>
        line
          .replace(/=[^;]*/, '')
          // A second or two may pass between the session's start and its cookies.
          .replace(/=(25919\d\d|2592000);/, '=30 days;')
          .replace(/=(345599\d\d|34560000);/, '=400 days;'),
      ),
    ).toEqual([
      '__Host-backchannel_session; Max-Age=30 days; Path=/; HttpOnly; Secure; SameSite=Lax',
      `${PASS}; Max-Age=30 days; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax`,
      '__Host-backchannel_device; Max-Age=400 days; Path=/; HttpOnly; Secure; SameSite=Lax',
    ]);
    const out = await sendRaw(secure.url, 'POST /api/v1/auth/logout');
    expect(out.headers['set-cookie']).toEqual([
      '__Host-backchannel_session=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
      `${PASS}=; Max-Age=0; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ]);
    const without = await sendRaw(plain.url, 'POST /api/v1/auth/login', { headers: json, body });
    expect(String(without.headers['set-cookie'])).not.toMatch(/pass|Domain/i);
  });

  test('is accepted, ends with the session, and is invalid without COOKIE_DOMAIN', async () => {
    await using server = await startServer(sso);
    const cookies = await signIn(server);
    const pass = { Cookie: `${PASS}=${cookies.get(PASS)}` };
    expect((await verify(server, pass)).status).toBe(204);
    await server.restart({ cookieDomain: null });
    expect((await verify(server, pass)).status).toBe(401);
    await server.restart();
    expect((await verify(server, pass)).status).toBe(204);
    const session = { Cookie: `__Host-backchannel_session=${cookies.get('__Host-backchannel_session')}` };
    expect((await sendRaw(server.url, 'POST /api/v1/auth/logout', { headers: session })).status).toBe(200);
    expect((await verify(server, pass)).status).toBe(401);
  });

  test('is added to a session older than COOKIE_DOMAIN when its browser is sent to sign in', async () => {
    await using server = await startServer({ ...sso, cookieDomain: null });
    const ended = await sessionCookie(server);
    expect((await sendRaw(server.url, 'POST /api/v1/auth/logout', { headers: ended })).status).toBe(200);
    const live = await sessionCookie(server);
    // The last one is read first.
    const session = { Cookie: `${live.Cookie}; ${ended.Cookie}; __Host-backchannel_session=stale` };
    expect((await sendRaw(server.url, 'GET /login', { headers: session })).headers['set-cookie']).toBeUndefined();
    await server.restart({ cookieDomain: 'example.com' });
    const page = await sendRaw(server.url, 'GET /login', { headers: session });
    const [line = '', ...others] = page.headers['set-cookie'] ?? [];
    expect([others, line]).toEqual([
      [],
      expect.stringMatching(/^__Secure-backchannel_pass=[^;]+; Max-Age=\d+; Domain=example\.com;/),
    ]);
    expect((await verify(server, { Cookie: line.split(';')[0] ?? '' })).status).toBe(204);
    expect((await sendRaw(server.url, 'GET /login')).headers['set-cookie']).toBeUndefined();
  });

  test('a stale session cookie beside it is ignored', async () => {
    const cookies = await signIn(secure);
    const both = { Cookie: `__Host-backchannel_session=stale; other=1; ${PASS}=${cookies.get(PASS)}` };
    expect((await verify(secure, both)).status).toBe(204);
  });

  test('a cookie with a similar name, which a sibling subdomain can set, is not accepted', async () => {
    const cookies = await signIn(secure);
    const name = '__Host-backchannel_session';
    const session = `${name}=${cookies.get(name)}`;
    // Browsers don't apply the rules of __Host- to a name with a no-break space before it.
    const withCookie = (cookie: string) => {
      const head = `GET /api/v1/auth/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: ${cookie}\r\n\r\n`;
      return sendBytes(secure.url, Buffer.from(head, 'latin1'));
    };
    expect((await withCookie(`\t ${session} `)).status).toBe(204);
    for (const space of ['\xa0', '\x85']) {
      expect((await withCookie(`${space}${session}`)).status).toBe(401);
      const tossed = [1, 2, 3].map((count) => `${space.repeat(count)}${name}=garbage`);
      expect((await withCookie([...tossed, session].join('; '))).status).toBe(204);
    }
  });

  test('cookies of the same name that a sibling subdomain sets for longer paths do not hide it', async () => {
    const tossed = `${PASS}=garbage; `.repeat(20);
    const cookies = await signIn(secure);
    const pass = `${PASS}=${cookies.get(PASS)}`;
    expect((await verify(secure, { Cookie: tossed + pass })).status).toBe(204);
    expect((await verify(secure, { Cookie: `${tossed}${pass}; ${PASS}=; ${PASS}=garbage` })).status).toBe(204);
  });

  const replayed: [string, (value: string) => Headers][] = [
    ['as it is', (value) => ({ Cookie: `${PASS}=${value}` })],
    ['under the name of the session cookie', (value) => ({ Cookie: `__Host-backchannel_session=${value}` })],
    ['as a bearer', (value) => ({ Authorization: `Bearer ${value}` })],
    ['in a header of our own', (value) => ({ 'X-Backchannel-Token': value })],
  ];
  test.each(replayed)('allows no procedure on either face when an upstream replays it %s', async (_how, show) => {
    const pass = (await signIn(secure)).get(PASS) ?? '';
    // The gate has it cached as valid for forward-auth.
    expect((await verify(secure, { Cookie: `${PASS}=${pass}` })).status).toBe(204);
    for (const face of ['REST', 'tRPC'] as Face[]) {
      for (const operation of operations.filter((each) => each.access !== 'anyone')) {
        const { method, path } = targetOf(face, operation);
        const isWrite = method !== 'GET';
        const headers = { ...show(pass), ...(isWrite ? json : {}) };
        const answer = await sendRaw(secure.url, `${method} ${path}`, { headers, ...(isWrite ? { body: '{}' } : {}) });
        expect([operation.name, answer.status]).toEqual([operation.name, 401]);
      }
    }
    const status = await sendRaw(secure.url, 'GET /api/v1/auth/status', { headers: show(pass) });
    expect(status.json).toEqual({ authenticated: false, expiresAt: null });
  });
});

describe('a refused browser', () => {
  const deep = 'https://photos.example.com/album?id=1&b=%2F';

  test('is sent to sign in, with the address to return to', async () => {
    const answer = await verify(secure, { ...navigation, ...forwarded(deep) });
    expectRefused(answer);
    const [location = ''] = answer.headers.location ?? [];
    expect(location).toBe(`${secure.url}/login?next=${encodeURIComponent(deep)}`);
    const moved = await verify(secure, { ...navigation, ...forwarded(deep) }, { query: '?redirect=1' });
    expect([moved.status, moved.headers.location, moved.text]).toEqual([302, [location], '']);
    expect(moved.headers['remote-user']).toBeUndefined();
  });

  test.each<[string, Headers, boolean]>([
    ['a navigation', navigation, true],
    ['a navigation that does not say to where', { 'Sec-Fetch-Mode': 'navigate' }, true],
    ['a navigation that a service worker fetches', { ...navigation, 'Sec-Fetch-Dest': 'empty' }, true],
    ['a frame', { ...navigation, 'Sec-Fetch-Dest': 'iframe' }, false],
    ['an embed', { ...navigation, 'Sec-Fetch-Dest': 'embed' }, false],
    ['a fetch of HTML', { ...navigation, 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }, false],
    ['an image', { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }, false],
    ['half a set of Sec-Fetch headers', { 'Sec-Fetch-Site': 'none', Accept: 'text/html' }, false],
    ['an old browser', { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }, true],
    ['a script of an old browser', { Accept: 'text/html', 'X-Requested-With': 'XMLHttpRequest' }, false],
    ['curl', { Accept: '*/*' }, false],
    ['a program that says nothing', {}, false],
    ['a program that would rather have JSON', { Accept: 'application/json, text/html;q=0.9' }, false],
    ['a program that would rather have anything', { Accept: 'text/html;q=0.5, */*' }, false],
    ['garbage in Accept', { Accept: ';;q=,,/' }, false],
  ])('%s', async (_what, headers, isSent) => {
    for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'get']) {
      const expected = isSent && (method === 'GET' || method === 'HEAD');
      const sent = { ...headers, ...forwarded(deep, method) };
      const answer = await verify(secure, sent);
      expect([method, answer.status, answer.headers.location !== undefined]).toEqual([method, 401, expected]);
      const moved = await verify(secure, sent, { query: '?redirect=1' });
      expect([method, moved.status]).toEqual([method, expected ? 302 : 401]);
    }
  });

  test.each([
    ['https://auth.example.com/', true],
    ['https://auth.example.com:9443/x', true],
    ['https://example.com/', true],
    ['https://a.b.example.com/', true],
    ['http://photos.example.com/', false],
    ['https://evil.example/', false],
    ['https://example.com.evil.example/', false],
    ['https://badexample.com/', false],
    ['https://auth.example.com.evil.example/', false],
    ['https://xn--exmple-cua.com/', false],
    ['https://192.0.2.7/', false],
    ['ftp://photos.example.com/', false],
  ])('%s is followed: %s', async (address, isFollowed) => {
    const answer = await verify(secure, { ...navigation, ...forwarded(address) });
    expect(answer.status).toBe(401);
    expect(nextOf(answer)).toBe(isFollowed ? address : null);
    if (!isFollowed)
      expect(answer.headers.location?.[0]).toMatch(/\/login\?reason=(host-not-allowed|address-not-told)$/);
  });

  test('comes back to whatever browsers send in a query, which is only data there', async () => {
    for (const query of ['path=C:\\photos', '\\\\evil.example', '{%22a%22:[1|2^3`]}', "//evil.example@?'"]) {
      const headers = {
        ...navigation,
        ...forwarded('https://photos.example.com/'),
        'X-Forwarded-Uri': `/search?${query}`,
      };
      const answer = await verify(secure, headers);
      expect(nextOf(answer)).toBe(new URL(`https://photos.example.com/search?${query}`).href);
    }
  });

  test('keeps the address to return to up to a limit that proxies can hold, encoded twice as it is', async () => {
    const lengthOf = (address: string) => `${secure.url}/login?next=${encodeURIComponent(address)}`.length;
    const long = `https://photos.example.com/list?${Array.from({ length: 200 }, (_, at) => `c[]=${100 + at}`).join('&')}`;
    const most = `https://photos.example.com/?${'x'.repeat(1900)}`;
    for (const address of [long.replaceAll('[]', '%5B%5D').slice(0, 1900), most]) {
      const answer = await verify(secure, { ...navigation, ...forwarded(address) });
      expect(nextOf(answer)).toBe(address);
      expect(answer.headers.location?.[0]?.length).toBe(lengthOf(address));
    }
  });

  test.each(['x'.repeat(7500), '%'.repeat(2600), '/'.repeat(2600), '[]='.repeat(830)])(
    'is told that its address is too long to return to: %.3s…',
    async (fill) => {
      const headers = { ...navigation, ...forwarded('https://photos.example.com/'), 'X-Forwarded-Uri': `/?${fill}` };
      for (const query of ['', '?redirect=1']) {
        const answer = await verify(secure, headers, { query });
        expect(answer.headers.location).toEqual([`${secure.url}/login?dropped=long`]);
        const size = Object.entries(answer.headers).flatMap(([name, values]) => values.map((value) => name + value));
        expect(size.join('').length).toBeLessThan(16_000);
      }
    },
  );

  test('is told that its host is not allowed, however long the address is', async () => {
    const headers = { ...navigation, ...forwarded('https://evil.example/'), 'X-Forwarded-Uri': `/${'x'.repeat(8000)}` };
    const answer = await verify(secure, headers);
    expect(answer.headers.location).toEqual([`${secure.url}/login?reason=host-not-allowed`]);
  });

  const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
  test.each<[string, string, Headers, boolean]>([
    ['sends a form', 'POST', { ...navigation, 'Sec-Fetch-Site': 'same-origin' }, true],
    ['is sent to it with a form by another site', 'POST', { ...navigation, 'Sec-Fetch-Site': 'cross-site' }, true],
    ['is old and sends a form', 'POST', html, true],
    ['loads it into a frame', 'GET', { ...html, 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' }, true],
    ['has a script that posts', 'POST', { ...html, 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }, false],
    ['has an old script that posts', 'POST', { ...html, 'X-Requested-With': 'XMLHttpRequest' }, false],
    ['loads an image', 'GET', { ...html, 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }, false],
    ['is a program', 'POST', { Accept: '*/*' }, false],
    ['is a program that says nothing', 'DELETE', {}, false],
  ])(
    'that can not be redirected gets words and a link if a person reads them: it %s',
    async (_what, method, headers, isPage) => {
      const asked = { ...headers, ...forwarded(deep, method) };
      for (const query of ['', '?redirect=1', '?redirect=1&basic=1']) {
        const answer = await verify(secure, asked, { query });
        expect([answer.status, answer.headers.location]).toEqual([401, undefined]);
        expect(answer.headers['www-authenticate']?.[0]).toContain('Bearer realm="backchannel"');
        expect(answer.headers['cache-control']).toEqual(['no-store']);
        expect(answer.headers['content-type']?.[0]).toMatch(
          isPage ? /^text\/html; charset=utf-8$/ : /^application\/json/,
        );
        const next = encodeURIComponent('https://photos.example.com/');
        if (isPage)
          expect(answer.text).toContain(`<a href="${secure.url}/login?next=${next}" target="_top">Sign in</a>`);
        else expect(readError('REST', 401, answer.json).code).toBe('UNAUTHORIZED');
      }
    },
  );

  test('gets no link to a host that is not allowed, and no markup of its own', async () => {
    const posts = { ...navigation, ...forwarded('https://evil.example/', 'POST') };
    for (const headers of [
      posts,
      { ...posts, 'X-Forwarded-Uri': '/"><b>&' },
      { ...posts, 'X-Forwarded-Host': '"><b>' },
    ]) {
      const answer = await verify(secure, headers);
      expect(answer.headers['content-type']).toEqual(['text/html; charset=utf-8']);
      expect(answer.text).toContain(`<a href="${secure.url}/login" target="_top">`);
      expect(answer.text).not.toContain('<b>');
    }
  });

  test.each(['/search\\photos?path=C:', '/two words', '/caf\u00e9', '/?caf\u00e9'])(
    'an unusable address is not blamed on its host: %s',
    async (uri) => {
      const headers = { ...navigation, ...forwarded('https://photos.example.com/'), 'X-Forwarded-Uri': uri };
      const answer = await verify(secure, headers);
      expect(answer.headers.location).toEqual([`${secure.url}/login?reason=address-not-usable`]);
    },
  );

  test.each<[string, Headers]>([
    ['no host', { 'X-Forwarded-Host': '' }],
    ['two hosts', { 'X-Forwarded-Host': 'photos.example.com, evil.example' }],
    ['user information', { 'X-Forwarded-Host': 'photos.example.com@evil.example' }],
    ['user information of ours', { 'X-Forwarded-Host': 'evil.example@photos.example.com' }],
    ['a path in the host', { 'X-Forwarded-Host': 'evil.example/.photos.example.com' }],
    ['a backslash in the host', { 'X-Forwarded-Host': 'evil.example\\.photos.example.com' }],
    ['a fragment in the host', { 'X-Forwarded-Host': 'evil.example#.example.com' }],
    ['an encoded host', { 'X-Forwarded-Host': 'photos%2eexample.com' }],
    ['a tab in the host', { 'X-Forwarded-Host': 'photos.example\t.com' }],
    ['an unknown scheme', { 'X-Forwarded-Proto': 'javascript' }],
    ['two schemes', { 'X-Forwarded-Proto': 'https, http' }],
    ['no path', { 'X-Forwarded-Uri': 'album' }],
    ['a path that is a host', { 'X-Forwarded-Uri': '@evil.example/' }],
    ['a path that adds a port', { 'X-Forwarded-Uri': ':8443/album' }],
    ['a path that adds to the host', { 'X-Forwarded-Uri': '.evil.example/' }],
    ['a backslash in the path', { 'X-Forwarded-Uri': '/\\evil.example/' }],
    ['a space in the path', { 'X-Forwarded-Uri': '/a b' }],
  ])('with %s, signs in without a return address', async (_what, headers) => {
    const answer = await verify(secure, { ...navigation, ...forwarded(deep), ...headers });
    expect([answer.status, nextOf(answer)]).toEqual([401, null]);
    expect(answer.headers.location?.[0]).not.toMatch(/evil/);
  });

  test('gets no return address from headers of an untrusted peer', async () => {
    await using server = await startServer({ ...sso, trustedProxies: [] });
    const answer = await verify(server, { ...navigation, ...forwarded(deep) });
    expect(answer.headers.location).toEqual([`${server.url}/login?reason=proxy-not-trusted`]);
    const posted = await verify(server, { ...navigation, ...forwarded(deep, 'POST') });
    expect(posted.headers.location).toHaveLength(1);
  });

  test('may return to any port of the same host name over http', async () => {
    const { hostname } = new URL(plain.url);
    const address = `http://${hostname}:3000/deep?x=1`;
    expect(nextOf(await verify(plain, { ...navigation, ...forwarded(address) }))).toBe(address);
    expect(nextOf(await verify(plain, { ...navigation, ...forwarded('http://photos.localhost:3000/') }))).toBeNull();
  });
});

describe('two families of headers', () => {
  const address = 'https://photos.example.com/album';
  const original = (url: string, method = 'GET'): Headers => ({ 'X-Original-URL': url, 'X-Original-Method': method });

  test('X-Original-* is used if it is alone', async () => {
    expect(nextOf(await verify(secure, { ...navigation, ...original(address) }))).toBe(address);
    const posted = await verify(secure, { ...navigation, ...original(address, 'POST') });
    expect([posted.status, posted.headers.location]).toEqual([401, undefined]);
    expect(nextOf(await verify(secure, { ...navigation, ...original('/album') }))).toBeNull();
    expect(nextOf(await verify(secure, { ...navigation, ...original('https://evil.example/') }))).toBeNull();
  });

  test('both are used if they agree', async () => {
    const both = { ...navigation, ...forwarded(address), ...original('HTTPS://photos.EXAMPLE.com/album') };
    expect(nextOf(await verify(secure, both))).toBe(address);
    expect((await verify(secure, { ...both, ...(await sessionCookie(secure)) })).status).toBe(204);
    const methodOnly = { 'X-Original-Method': 'GET' };
    expect(nextOf(await verify(secure, { ...navigation, ...forwarded(address), ...methodOnly }))).toBe(address);
  });

  test.each<[string, Headers]>([
    ['host', original('https://mail.example.com/album')],
    ['path', original('https://photos.example.com/admin')],
    ['case of the path', original('https://photos.example.com/ALBUM')],
    ['scheme', original('http://photos.example.com/album')],
    ['method', original(address, 'POST')],
    ['method alone', { 'X-Original-Method': 'POST' }],
    ['an invalid address', original('photos')],
  ])(
    'if they differ in the %s, every request is refused without a redirect, which is logged once',
    async (_what, other) => {
      const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      await using server = await startServer(sso, { log: createLog({ logLevel: 'warn', logFormat: 'json' }) });
      const { secret } = await makeToken(server);
      for (const shown of [await sessionCookie(server), bearer(secret), {}]) {
        const answer = await verify(
          server,
          { ...navigation, ...forwarded(address), ...other, ...shown },
          { query: '?redirect=1' },
        );
        expectRefused(answer);
        expect(answer.headers.location).toBeUndefined();
      }
      const warnings = write.mock.calls.map(([line]) => String(line)).filter((line) => line.includes('contradict'));
      write.mockRestore();
      expect(warnings).toHaveLength(1);
    },
  );

  test('a contradiction is ignored from an untrusted peer', async () => {
    await using server = await startServer();
    const both = { ...forwarded(address), ...original('https://mail.example.com/') };
    expect((await verify(server, { ...both, ...(await sessionCookie(server)) })).status).toBe(204);
  });
});

test('each refusal is one log line with its reason, without secrets or addresses', async () => {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await using server = await startServer(sso, { log: createLog({ logLevel: 'info', logFormat: 'json' }) });
  const session = await sessionCookie(server);
  const { secret } = await makeToken(server, { hosts: ['photos.example.com'] });
  const refused = async (headers: Headers) => {
    write.mockClear();
    expect((await verify(server, headers)).status).toBe(401);
    const lines = write.mock.calls.map(([line]) => String(line));
    expect(lines).toHaveLength(1);
    for (const hidden of ['canary', secret.slice(4), 'eyJ']) expect(lines.join()).not.toContain(hidden);
    const { reason, noReturn, host } = JSON.parse(lines[0] ?? '');
    return [reason, noReturn, host];
  };
  const at = (address: string) => ({ ...navigation, ...forwarded(address) });
  const ended = 'the session or token has ended, or is not valid here';
  expect(await refused({})).toEqual(['no credential', undefined, null]);
  expect(await refused(at('https://photos.example.com/canary?canary'))).toEqual([
    'no credential',
    undefined,
    'photos.example.com',
  ]);
  expect(await refused(at('https://evil.example/canary'))).toEqual([
    'no credential',
    'host-not-allowed',
    'evil.example',
  ]);
  expect(await refused({ ...navigation })).toEqual(['no credential', 'address-not-told', null]);
  expect(await refused({ Cookie: '__Host-backchannel_session=canary' })).toEqual([ended, undefined, null]);
  expect(await refused({ ...bearer(secret), ...forwarded('https://mail.example.com/') })).toEqual([
    'the token is not for this host',
    undefined,
    'mail.example.com',
  ]);
  await sendRaw(server.url, 'POST /api/v1/auth/logout', { headers: session });
  expect(await refused({ ...session, ...forwarded('https://photos.example.com/') })).toEqual([
    ended,
    undefined,
    'photos.example.com',
  ]);
  write.mockRestore();
  await server.restart({ trustedProxies: [] });
});
