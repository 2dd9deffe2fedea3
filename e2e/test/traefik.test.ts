// Forward-auth as Traefik asks for it. Traefik itself is in no package of npm or Debian: what it sends, by its documentation
// of the ForwardAuth and Headers middlewares, is put together here from the block that is printed for it.
import { expect, test } from 'vitest';
import { amountOf } from '../../packages/server/test/support/amount.ts';
import { createRandom } from '../../packages/server/test/support/random.ts';
import { cookiesOf, createClient } from '../ask.ts';
import { findFreePorts } from '../free-ports.ts';
import { printBlock } from '../print-block.ts';
import { openServer } from '../server.ts';
import { ambiguousTargets, pieces, plainTargets, readingsOf } from '../spellings.ts';
import { parseRule, readDecoded, readRouted } from '../traefik-rule.ts';

const client = createClient({ ca: '' });
const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

interface Request {
  method: string;
  uri: string;
  headers: Record<string, string>;
}

async function openTraefik() {
  const scope = new AsyncDisposableStack();
  const [port = 0] = await findFreePorts(1);
  const env = {
    PORT: String(port),
    PUBLIC_URL: 'https://auth.example.test',
    COOKIE_DOMAIN: 'example.test',
    TRUSTED_PROXIES: '127.0.0.1',
    MASTER_PASSWORD: 'correct horse battery staple',
  };
  const server = scope.use(await openServer(env));
  const block = await printBlock(env, 'traefik', 'app.example.test', 'http://127.0.0.1:3000');
  const { address, asking, told, cleaned, stripped } = readBlock(block);

  /** What the application would get, or what the client gets instead. */
  const pass = async ({ method, uri, headers }: Request) => {
    const onward = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    for (const name of cleaned) onward.delete(name);
    const asked = {
      ...Object.fromEntries([...onward].filter(([name]) => asking.includes(name))),
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-host': 'app.example.test',
      'x-forwarded-method': method,
      'x-forwarded-port': '443',
      'x-forwarded-proto': 'https',
      'x-forwarded-server': 'traefik',
      'x-forwarded-uri': uri,
      'x-real-ip': '203.0.113.7',
    };
    const { status, headers: said } = await client.ask(address, { headers: asked });
    if (status < 200 || status > 299) return { status, said, onward: null };
    for (const name of told) {
      onward.delete(name);
      if (said[name] !== undefined) onward.set(name, String(said[name]));
    }
    for (const name of stripped) onward.delete(name);
    return { status, said, onward: Object.fromEntries(onward) };
  };
  return { server, pass, [Symbol.asyncDispose]: () => scope.disposeAsync() };
}

/** The parts of the block that decide what is sent where; names of headers in lower case. */
function readBlock(block: string) {
  const below = (key: string, from = block) => {
    const [, indent = '', rest = ''] = new RegExp(`^( *)${key}:\\n((?:.*\\n?)*)`, 'm').exec(from) ?? [];
    const lines = rest.split('\n');
    const end = lines.findIndex((line) => line.search(/\S/) <= indent.length);
    return lines.slice(0, end < 0 ? undefined : end).join('\n');
  };
  const emptied = (name: string) =>
    [...below('customRequestHeaders', `${below(name)}\n`).matchAll(/([\w-]+): ""/g)].map(([, header = '']) =>
      header.toLowerCase(),
    );
  const verify = below('app-example-test-verify');
  const listed = (key: string) =>
    [...below(key, `${verify}\n`).matchAll(/- ([\w-]+)/g)].map(([, name = '']) => name.toLowerCase());
  expect(verify).toContain('trustForwardHeader: false');
  expect(below('middlewares')).toMatch(/-clean\n.*-verify\n.*-strip/);
  return {
    address: /address: "(.*)"/.exec(verify)?.[1] ?? '',
    asking: listed('authRequestHeaders'),
    told: listed('authResponseHeaders'),
    cleaned: emptied('app-example-test-clean'),
    stripped: emptied('app-example-test-strip'),
  };
}

const get = (headers: Record<string, string>): Request => ({ method: 'GET', uri: '/page?a=b', headers });

test('a person is led to sign in and back, a program gets 401', async () => {
  await using traefik = await openTraefik();
  const led = await traefik.pass(get(navigation));
  const next = new URLSearchParams({ next: 'https://app.example.test/page?a=b' });
  expect([led.status, led.said.location]).toEqual([302, `https://auth.example.test/login?${next}`]);
  for (const asked of [get({ accept: '*/*' }), { ...get(navigation), method: 'POST' }]) {
    const refused = await traefik.pass(asked);
    expect([refused.status, refused.said.location]).toEqual([401, undefined]);
    expect(refused.said['www-authenticate']).toBe('Bearer realm="backchannel"');
  }
});

test('the identity of an allowed caller is passed on; what a client says of itself and its address is not', async () => {
  await using traefik = await openTraefik();
  const login = await client.ask(`${traefik.server.url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password: 'correct horse battery staple' }),
  });
  const pass = cookiesOf(login)
    .split('; ')
    .find((cookie) => cookie.startsWith('__Secure-'));
  const forged = {
    'Remote-User': 'mallory',
    'Remote-Email': 'mallory',
    'Remote-Groups': 'mallory',
    'X-Auth-Session': 'mallory',
    'X-Original-URL': 'https://mallory.example.net/',
    'X-Original-Method': 'GET',
    'X-Forwarded-Method': 'MALLORY',
    Forwarded: 'for=mallory',
    'HTTP2-Settings': 'AAMAAABkAAQAAP__',
  };
  expect(await traefik.pass(get(forged))).toMatchObject({ status: 401, onward: null });
  const passed = await traefik.pass(get({ ...forged, cookie: `theirs=1; ${pass}` }));
  expect(passed.status).toBe(204);
  expect(passed.onward).toEqual({
    'remote-user': 'operator',
    'x-auth-method': 'session',
    'x-auth-session': expect.stringMatching(/^[\w-]{16,}$/),
    // As the block says: a cookie can't be taken out.
    cookie: `theirs=1; ${pass}`,
  });
  const led = await traefik.pass(get({ ...forged, ...navigation }));
  expect(led.said.location).toContain(encodeURIComponent('https://app.example.test/page?a=b'));

  // The one cookie that the application gets opens nothing of the API.
  const me = await client.ask(`${traefik.server.url}/api/v1/auth/me`, { headers: { cookie: String(pass) } });
  expect(me.status).toBe(401);
});

const env = { PUBLIC_URL: 'https://auth.example.test', COOKIE_DOMAIN: 'example.test' };
const isPublic = (path: string) => path === '/health' || path === '/share' || path.startsWith('/share/');

/** The rules of a printed block, by the name of the router. */
async function rulesOf(...words: string[]) {
  const block = await printBlock(env, 'traefik', 'app.example.test', 'http://127.0.0.1:3000', ...words);
  return new Map(
    [...block.matchAll(/^ {4}([\w-]+):\n {6}rule: ['"](.*)['"]$/gm)].map(([, name = '', rule = '']) => [name, rule]),
  );
}

test.each([
  ['before 3.4', readDecoded],
  ['since', readRouted],
])(
  'the rule for public paths leads to nothing that some server reads as another path, in Traefik %s',
  async (_which, read) => {
    const rules = await rulesOf('--public', '/share/', '--public', '/health');
    const [guarded = '', open = ''] = [rules.get('app-example-test'), rules.get('app-example-test-public')];
    // The longer rule is asked first.
    expect(open.length).toBeGreaterThan(guarded.length);
    const matches = parseRule(open);
    const { pick, text } = createRandom(2);
    const random = Array.from(
      { length: amountOf({ sample: 3000, long: 200_000 }) },
      () => pick('/share/', '/share/', '/health', '/share', '/') + text(8, () => pick(...pieces)),
    );
    let count = 0;
    for (const target of [...ambiguousTargets, ...random]) {
      // No rule of the older one can tell an encoded slash from a slash. The documentation asks for a newer one.
      if (read === readDecoded && /%2f/i.test(target)) continue;
      const request = read(target);
      if (request === null || !matches({ host: 'app.example.test', path: request.path })) continue;
      count += 1;
      const elsewhere = readingsOf(request.onward).filter((path) => !isPublic(path));
      expect(elsewhere, `${target} is sent on as ${request.onward}, and read as`).toEqual([]);
    }
    expect(count).toBeGreaterThan(20);
    for (const target of plainTargets) {
      const path = read(target)?.path ?? '';
      expect(matches({ host: 'app.example.test', path }), target).toBe(true);
      expect(matches({ host: 'other.example.test', path })).toBe(false);
    }
  },
);

test('the rule for public paths matches no spelling that Traefik sends on with what some server reads as syntax', async () => {
  const rules = await rulesOf('--public', '/share/', '--public', '/health');
  const matches = parseRule(rules.get('app-example-test-public') ?? '');
  const syntax = /[;\\#]|%(?:3b|2f|5c|2[35e]|3f|0|7f|c0|c1|u)|\/\/|\/(?:[.+]|%20)+(?:\/|$)/i;
  const sent = ambiguousTargets.map(readRouted).filter((each) => each !== null && syntax.test(each.onward));
  expect(sent.length).toBeGreaterThan(80);
  for (const each of sent) {
    expect(matches({ host: 'app.example.test', path: each?.path ?? '' }), each?.onward).toBe(false);
  }
});

test('the rule for preflights matches OPTIONS with Origin and Access-Control-Request-Method, and nothing else', async () => {
  const rules = await rulesOf('--preflight');
  const [guarded = '', rule = ''] = [rules.get('app-example-test'), rules.get('app-example-test-preflight')];
  expect(rule.length).toBeGreaterThan(guarded.length);
  const matches = parseRule(rule);
  const headers = { origin: 'https://other.example.test', 'access-control-request-method': 'DELETE' };
  const preflight = { host: 'app.example.test', path: '/api', method: 'OPTIONS', headers };
  expect(matches(preflight)).toBe(true);
  for (const other of [
    ...['GET', 'POST', 'HEAD', 'options'].map((method) => ({ method })),
    { headers: { origin: headers.origin } },
    { headers: { 'access-control-request-method': 'DELETE' } },
    { headers: { ...headers, origin: '' } },
    { headers: {} },
    { host: 'other.example.test' },
  ]) {
    expect(matches({ ...preflight, ...other }), JSON.stringify(other)).toBe(false);
  }
  expect((await rulesOf()).has('app-example-test-preflight')).toBe(false);
});

test('the rule for a host matches IPv6 addresses, with the port and without', async () => {
  const server = { PUBLIC_URL: 'http://[::1]:8000' };
  const block = await printBlock(server, 'traefik', '[::1]:9000', 'http://127.0.0.1:3000');
  const matches = parseRule(/rule: ['"](.*)['"]$/m.exec(block)?.[1] ?? '');
  for (const host of ['[::1]', '::1']) expect(matches({ host, path: '/' })).toBe(true);
  expect(matches({ host: '::2', path: '/' })).toBe(false);
});
