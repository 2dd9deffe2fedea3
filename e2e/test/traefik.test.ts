// Forward-auth as Traefik asks for it. Traefik itself is in no package of npm or Debian: what it sends, by its documentation
// of the ForwardAuth and Headers middlewares, is put together here from the block that is printed for it.
import { expect, test } from 'vitest';
import { cookiesOf, createClient } from '../ask.ts';
import { findFreePorts } from '../free-ports.ts';
import { printBlock } from '../print-block.ts';
import { openServer } from '../server.ts';

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
  const { address, told, cleaned, stripped } = readBlock(block);

  /** What the application would get, or what the client gets instead. */
  const pass = async ({ method, uri, headers }: Request) => {
    const onward = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    for (const name of cleaned) onward.delete(name);
    const asked = {
      ...Object.fromEntries(onward),
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
  expect(verify).toContain('trustForwardHeader: false');
  expect(below('middlewares')).toMatch(/-clean\n.*-verify\n.*-strip/);
  return {
    address: /address: "(.*)"/.exec(verify)?.[1] ?? '',
    told: [...below('authResponseHeaders', `${verify}\n`).matchAll(/- ([\w-]+)/g)].map(([, name = '']) =>
      name.toLowerCase(),
    ),
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
