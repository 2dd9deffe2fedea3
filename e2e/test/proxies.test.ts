// Forward-auth through nginx and Caddy: each runs exactly what `backchannel proxy-config` prints, in front of an application
// that keeps whatever it is sent. Skipped where the machine has none of them; `.ci/run` installs both.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Page } from 'playwright-core';
import { afterAll, describe, expect, type TestContext, test } from 'vitest';
import { trustedHeaders } from '../../packages/cli/src/proxies/stripped.ts';
import { operations, targetOf } from '../../packages/server/test/support/harness.ts';
import { type Answer, type Client, cookiesOf, createClient } from '../ask.ts';
import { openBrowser } from '../browser.ts';
import { findFreePorts } from '../free-ports.ts';
import { printBlock } from '../print-block.ts';
import { checkBlocks, findProxy, makeCertificate, openProxy, type ProxyName } from '../proxy.ts';
import { openServer, type Server } from '../server.ts';
import { DOWNLOAD, openUpstream, type Recorded, type Upstream } from '../upstream.ts';

const PASSWORD = 'correct horse battery staple';
const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'none' };

/** One proxy, two BackChannels behind it, and one application behind those: under several names and ports. */
interface Place {
  /** With COOKIE_DOMAIN, over https. */
  subdomains: { server: Server; auth: string; app: string; samePort: string };
  /** The block of BackChannel itself, in front of the application, which can tell what it was sent. */
  ownBlock: string;
  /** Without, over http, on another port of the same host name. */
  ports: { server: Server; auth: string; app: string };
  upstream: Upstream;
  client: Client;
}

async function openPlace(name: ProxyName, scope: AsyncDisposableStack): Promise<Place | { missing: string }> {
  if ((await findProxy(name)) === null) return { missing: `no ${name} here` };
  const folder = await mkdtemp(join(tmpdir(), 'backchannel-proxies-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const certificate = await makeCertificate(folder, ['*.example.test']);
  if (certificate === null) return { missing: 'no openssl here' };

  const [port = 0, otherPort = 0, httpPort = 0, first = 0, second = 0] = await findFreePorts(5);
  const common = {
    MASTER_PASSWORD: PASSWORD,
    TRUSTED_PROXIES: '127.0.0.1',
    OPERATOR_NAME: 'alice',
    OPERATOR_EMAIL: 'alice@example.test',
  };
  const auth = `https://auth.example.test:${port}`;
  const ownBlock = `https://own.example.test:${port}`;
  const secure = { ...common, PORT: String(first), PUBLIC_URL: auth, COOKIE_DOMAIN: 'example.test' };
  const plain = { ...common, PORT: String(second), PUBLIC_URL: `http://localhost:${second}` };
  const upstream = scope.use(await openUpstream());
  const opened = ['--public', '/share/', '--public', '/hook'];
  const files = ['--cert', certificate.cert, '--key', certificate.key];
  const [one, other, ...blocks] = await Promise.all([
    openServer(secure),
    openServer(plain),
    printBlock(secure, name, ...files),
    printBlock(secure, name, `app.example.test:${port}`, upstream.url, ...opened, '--preflight', ...files),
    printBlock(secure, name, `auth.example.test:${otherPort}`, upstream.url, '--basic', ...files),
    printBlock(plain, name, `localhost:${httpPort}`, upstream.url),
    printBlock({ ...secure, PUBLIC_URL: ownBlock }, name, '--backchannel', upstream.url, ...files),
  ]);
  scope.use(one);
  scope.use(other);
  scope.use(await openProxy(name, blocks));
  return {
    subdomains: {
      server: one,
      auth,
      app: `https://app.example.test:${port}`,
      samePort: `https://auth.example.test:${otherPort}`,
    },
    ownBlock,
    ports: { server: other, auth: plain.PUBLIC_URL, app: `http://localhost:${httpPort}` },
    upstream,
    client: createClient({ ca: await readFile(certificate.cert, 'utf8') }),
  };
}

describe.each(['nginx', 'caddy'] as const)('%s', (name) => {
  const scope = new AsyncDisposableStack();
  let opened: ReturnType<typeof openPlace> | undefined;
  afterAll(() => scope.disposeAsync());

  const enter = async (context: TestContext): Promise<Place> => {
    opened ??= openPlace(name, scope);
    const place = await opened;
    if (!('missing' in place)) return place;
    const note = `skipped: ${place.missing}`;
    console.warn(note);
    return context.skip(note);
  };

  test('a stranger that navigates signs in and comes back to the deep link, at any name and port', async (context) => {
    const { subdomains, ports } = await enter(context);
    await using browser = await openBrowser(context);
    for (const { auth, app } of [subdomains, { ...subdomains, app: subdomains.samePort }, ports]) {
      const visitor = await browser.newContext({ ignoreHTTPSErrors: true });
      const page = await visitor.newPage();
      page.setDefaultTimeout(10_000);
      const deep = `${app}/page/deep%20link?a=1&b=%26&c=ü`;
      await page.goto(deep);
      expect(page.url()).toContain(`${auth}/login?next=`);
      await signIn(page);
      await page.waitForURL((url) => url.origin === app);
      expect(await page.locator('#url').textContent()).toBe('/page/deep%20link?a=1&b=%26&c=%C3%BC');
      expect(await statusFromPage(page)).toBe(200);

      // Signed out, its page's own requests are refused, not led to a page; a person is asked to sign in.
      const second = await visitor.newPage();
      await second.goto(`${auth}/logout`);
      await second.getByRole('button', { name: 'Sign out' }).click();
      await second.getByRole('heading', { name: 'You are signed out' }).waitFor();
      expect(await statusFromPage(page)).toBe(401);
      await page.goto(deep);
      expect(page.url()).toContain(`${auth}/login?next=`);
      await visitor.close();
    }
  });

  test('a program gets 401, with whatever method, and the application hears nothing of it', async (context) => {
    const { subdomains, ports, upstream, client } = await enter(context);
    upstream.recorded.length = 0;
    for (const { app, auth } of [subdomains, ports]) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
        const refused = await client.ask(`${app}/page`, { method, headers: { accept: '*/*' } });
        expect(refused.status, method).toBe(401);
        expect(refused.headers['www-authenticate'], method).toBe('Bearer realm="backchannel"');
        expect(refused.headers['set-cookie'], method).toBeUndefined();
      }
      const background = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept: 'text/html' };
      expect((await client.ask(`${app}/page`, { headers: background })).status).toBe(401);
      expect((await client.ask(`${app}/page`, { method: 'POST', headers: navigation })).status).toBe(401);
      const led = await client.ask(`${app}/page?a=b`, { headers: navigation });
      expect([led.status, led.headers.location]).toEqual([302, loginAddress(auth, `${app}/page?a=b`)]);
    }
    const { headers } = await client.ask(subdomains.samePort);
    expect(headers['www-authenticate']).toBe('Basic realm="backchannel", charset="UTF-8", Bearer realm="backchannel"');
    expect(upstream.recorded).toEqual([]);
  });

  test('a person whose form is refused gets words and a way to sign in, also from another site; a script gets neither', async (context) => {
    const { subdomains, ports, upstream, client } = await enter(context);
    upstream.recorded.length = 0;
    const accept = 'text/html,application/xhtml+xml,*/*;q=0.8';
    for (const { app, auth } of [subdomains, { ...subdomains, app: subdomains.samePort }, ports]) {
      const link = `<a href="${auth}/login?next=${encodeURIComponent(`${app}/`)}" target="_top">Sign in</a>`;
      for (const headers of [
        { ...navigation, accept, 'sec-fetch-site': 'same-origin', origin: app },
        { ...navigation, accept, 'sec-fetch-site': 'cross-site', origin: 'https://idp.example.net' },
        { accept },
      ]) {
        const refused = await client.ask(`${app}/page`, { method: 'POST', headers, body: 'a=b' });
        expect([refused.status, refused.headers.location]).toEqual([401, undefined]);
        expect(refused.headers['www-authenticate']).toContain('Bearer realm="backchannel"');
        expect(refused.headers['content-type']).toMatch(/^text\/html/);
        expect(refused.headers['cache-control']).toBe('no-store');
        expect(String(refused.body)).toContain('It has not reached');
        expect(String(refused.body)).toContain(link);
      }
      const script = { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept };
      const refused = await client.ask(`${app}/page`, { method: 'POST', headers: script, body: 'a=b' });
      expect([refused.status, String(refused.body).includes('login')]).toEqual([401, false]);
    }
    expect(upstream.recorded).toEqual([]);
  });

  test('a long query and many cookies come through, for a stranger and for someone who is signed in', async (context) => {
    const { subdomains, ports, client } = await enter(context);
    for (const { app, auth } of [subdomains, ports]) {
      const cookie = cookiesOf(await logIn(client, auth));
      const path = `/list?${Array.from({ length: 200 }, (_, at) => `c[]=${100 + at}`).join('&')}`;
      // The second one takes three times as much when it is encoded.
      for (const long of [path, `/list?${'/'.repeat(1900)}`]) {
        const led = await client.ask(app, { path: long, headers: navigation });
        expect([led.status, led.headers.location]).toEqual([302, loginAddress(auth, app + long)]);
      }
      // Longer than BackChannel carries along.
      const longer = await client.ask(app, { path: `/list?${'x'.repeat(7500)}`, headers: navigation });
      expect([longer.status, longer.headers.location]).toEqual([302, `${auth}/login?dropped=long`]);

      const theirs = Array.from({ length: 8 }, (_, at) => `theirs${at}=${String(at).repeat(2048)}`);
      const many = theirs.join('; ');
      expect((await client.ask(app, { path, headers: { ...navigation, cookie: many } })).status).toBe(302);
      expect((await client.ask(app, { method: 'POST', headers: { cookie: many } })).status).toBe(401);
      // In one header, and in several (RFC 9113, 8.2.3).
      for (const sent of [`${many}; ${cookie}`, [...theirs, cookie]]) {
        const seen = seenBy(await client.ask(app, { path, headers: { cookie: sent } }));
        expect(headersOf(seen).cookie).toBe(many);
        expect(seen.url).toBe(path);
      }
      // Whatever else an application's own client sends is not BackChannel's business.
      const other = { 'x-large': 'x'.repeat(20_000) };
      const seen = seenBy(await client.ask(app, { headers: { cookie: `${many}; ${cookie}`, ...other } }));
      expect(headersOf(seen)).toMatchObject(other);
    }
  });

  test('a CORS preflight reaches the application without sign-in where that was asked for, and nothing else does', async (context) => {
    const { subdomains, ports, upstream, client } = await enter(context);
    const cookie = cookiesOf(await logIn(client, subdomains.auth));
    const preflight = { origin: 'https://other.example.test', 'access-control-request-method': 'DELETE' };
    const added = {
      cookie,
      'remote-user': 'mallory',
      'x-forwarded-user': 'mallory',
      'x-http-method-override': 'DELETE',
      'x-http-method': 'DELETE',
      'x-method-override': 'DELETE',
    };
    const ask = async (url: string, method: string, headers: Record<string, string>) =>
      (await client.ask(`${url}/api/items`, { method, headers })).status;
    upstream.recorded.length = 0;
    expect(await ask(subdomains.app, 'OPTIONS', { ...preflight, ...added })).toBe(200);
    const [seen, ...more] = upstream.recorded;
    expect(more).toEqual([]);
    expect(seen).toMatchObject({ method: 'OPTIONS', url: '/api/items' });
    expect(headersOf(seen)).toMatchObject(preflight);
    expect(JSON.stringify(headersOf(seen))).not.toMatch(/mallory|alice|override|x-http-method|x-auth|cookie/);

    upstream.recorded.length = 0;
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'PROPFIND']) {
      expect([
        method,
        await ask(subdomains.app, method, { ...preflight, 'x-http-method-override': 'OPTIONS' }),
      ]).not.toContain(200);
    }
    const { origin, 'access-control-request-method': asked } = preflight;
    for (const headers of [{ origin }, { 'access-control-request-method': asked }, { ...preflight, origin: '' }, {}]) {
      expect(await ask(subdomains.app, 'OPTIONS', headers)).toBe(401);
    }
    for (const app of [subdomains.samePort, ports.app]) expect(await ask(app, 'OPTIONS', preflight)).toBe(401);
    expect(upstream.recorded).toEqual([]);
    // Someone who is signed in is not held up by it, and keeps the header.
    const signedIn = await client.ask(subdomains.app, {
      method: 'POST',
      headers: { cookie, 'x-http-method-override': 'PUT' },
    });
    expect(headersOf(seenBy(signedIn))).toMatchObject({ 'x-http-method-override': 'PUT', 'remote-user': 'alice' });
  });

  test('hosts with an underscore, and IPv6 addresses, are protected like any other', async (context) => {
    if ((await findProxy(name)) === null) return context.skip(`skipped: no ${name} here`);
    await using rest = new AsyncDisposableStack();
    const upstream = rest.use(await openUpstream());
    const client = createClient({ ca: '' });
    const [first = 0, second = 0, third = 0, fourth = 0] = await findFreePorts(4);
    const common = { MASTER_PASSWORD: PASSWORD, TRUSTED_PROXIES: '127.0.0.1,::1' };
    const places = [
      {
        env: { ...common, HOST: '::1', PORT: String(first), PUBLIC_URL: `http://[::1]:${first}` },
        host: `[::1]:${second}`,
      },
      { env: { ...common, PORT: String(third), PUBLIC_URL: `http://my_nas:${third}` }, host: `my_nas:${fourth}` },
    ];
    const blocks = await Promise.all(places.map(({ env, host }) => printBlock(env, name, host, upstream.url)));
    for (const { env } of places) rest.use(await openServer(env));
    rest.use(await openProxy(name, blocks));
    for (const { env, host } of places) {
      const app = `http://${host}`;
      const led = await client.ask(`${app}/any`, { headers: navigation });
      expect([led.status, led.headers.location]).toEqual([302, loginAddress(env.PUBLIC_URL, `${app}/any`)]);
      const cookie = cookiesOf(await logIn(client, env.PUBLIC_URL));
      const seen = seenBy(await client.ask(`${app}/any`, { headers: { ...navigation, cookie } }));
      expect(headersOf(seen)).toMatchObject({ host, 'x-forwarded-host': host, 'remote-user': 'operator' });
    }
  });

  test('a body of any size and kind comes through, and is not asked for where it is refused', async (context) => {
    const { subdomains, client } = await enter(context);
    const cookie = cookiesOf(await logIn(client, subdomains.auth));
    const small = Buffer.from('{"a": "ü"}');
    const large = randomBytes(24 * 1024 * 1024);
    for (const body of [small, large, Buffer.alloc(0)]) {
      for (const chunked of [false, true]) {
        const answer = await client.ask(subdomains.app, { method: 'PUT', body, chunked, headers: { cookie } });
        const sha256 = createHash('sha256').update(body).digest('hex');
        expect(seenBy(answer)).toMatchObject({ method: 'PUT', body: { bytes: body.length, sha256 } });
      }
    }
    const refused = await client.ask(subdomains.app, { method: 'POST', body: small });
    expect(refused.status).toBe(401);
  });

  test('what the application responds comes back: a download, part of its events, its own refusal', async (context) => {
    const { subdomains, upstream, client } = await enter(context);
    const cookie = cookiesOf(await logIn(client, subdomains.auth));
    const download = await client.ask(`${subdomains.app}/download`, { headers: { cookie } });
    expect(download.body.equals(DOWNLOAD)).toBe(true);
    expect(download.headers['content-type']).toBe('application/octet-stream');

    const events = await client.open(`${subdomains.app}/events`, { headers: { cookie, accept: 'text/event-stream' } });
    const chunks = events.setEncoding('utf8')[Symbol.asyncIterator]();
    expect((await chunks.next()).value).toBe('data: first\n\n');
    upstream.endEvents();
    expect((await chunks.next()).value).toBe('data: last\n\n');

    const refused = await client.ask(`${subdomains.app}/refused`, { headers: { cookie, ...navigation } });
    expect([refused.status, refused.body.toString()]).toEqual([401, 'its own']);
    expect(refused.headers['www-authenticate']).toBe('Basic realm="application"');
  });

  test('a WebSocket is opened for who may pass, and no other protocol for anybody', async (context) => {
    const { subdomains, upstream, client } = await enter(context);
    const { app } = subdomains;
    const cookie = cookiesOf(await logIn(client, subdomains.auth));
    upstream.recorded.length = 0;
    expect(await client.upgrade(`${app}/socket`, 'websocket')).toMatchObject({ status: 401 });
    expect(upstream.recorded).toEqual([]);

    const socket = await client.upgrade(`${app}/socket`, 'websocket', { cookie });
    if ('status' in socket) throw new Error(`answered ${socket.status}`);
    socket.write('there and back');
    const [echo] = await once(socket, 'data');
    expect(String(echo)).toBe('there and back');
    socket.destroy();

    expect(await client.upgrade(`${app}/other`, 'h2c', { cookie })).toMatchObject({ status: 200 });
    expect(upstream.recorded.map(({ url }) => url)).toEqual(['/socket', '/other']);
    expect(headersOf(upstream.recorded[1]).upgrade).toBeUndefined();

    upstream.recorded.length = 0;
    const both = await client.upgrade(`${app}/both`, ['h2c', 'websocket'], { cookie });
    if (!('status' in both)) both.destroy();
    for (const { headers } of upstream.recorded) expect(headers.flat().join('\n')).not.toContain('h2c');
  });

  test('who it is comes from BackChannel alone, whatever a client says', async (context) => {
    const { subdomains, ports, client } = await enter(context);
    const forged = {
      'remote-user': 'mallory',
      'Remote-Email': 'mallory@example.test',
      'remote-groups': 'admins',
      'remote-name': 'Mallory',
      Remote_User: 'mallory',
      'X-Auth_Session': 'mallory',
      'Remote.User': 'mallory',
      'X.Auth-Session': 'mallory',
      'x-auth-method': 'token',
      'x-auth-session': 'mallory',
      'x-forwarded-for': '203.0.113.66',
      'x-forwarded-host': 'mallory.example.net',
      'x-forwarded-proto': 'gopher',
      'x-forwarded-method': 'MALLORY',
      'x-forwarded-uri': '/mallory',
      'x-forwarded-user': 'mallory',
      'x-forwarded-preferred-username': 'mallory',
      'x-forwarded-email': 'mallory@example.test',
      'x-forwarded-groups': 'admins',
      'x-forwarded-server': 'mallory',
      'x-forwarded-prefix': '/mallory',
      'x-forwarded-ssl': 'mallory',
      'x-forwarded-scheme': 'mallory',
      'x-real-ip': '203.0.113.66',
      forwarded: 'for=203.0.113.66;host=mallory.example.net',
      'x-rewrite-url': '/mallory',
      // What it names is left out on the way to the application (RFC 9110, 7.6.1).
      connection: 'close, Remote-User, Remote-Email, X-Auth-Method, X-Auth-Session, X-Forwarded-For',
    };
    for (const { app, auth } of [subdomains, ports]) {
      const cookie = cookiesOf(await logIn(client, auth));
      const headers = headersOf(
        seenBy(await client.ask(app, { headers: { cookie, ...forged, 'x-their-own': 'kept' } })),
      );
      const { protocol, host } = new URL(app);
      expect(headers).toMatchObject({
        'remote-user': 'alice',
        'remote-email': 'alice@example.test',
        'x-auth-method': 'session',
        'x-auth-session': expect.stringMatching(/^[\w-]{16,}$/),
        host,
        'x-real-ip': '127.0.0.1',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-host': host,
        'x-forwarded-proto': protocol.slice(0, -1),
        'x-their-own': 'kept',
      });
      expect(JSON.stringify(headers)).not.toMatch(/mallory|203\.0\.113|admins/i);
    }
  });

  test('no header from which an application takes people, addresses or paths comes from a client, on any path', async (context) => {
    const { subdomains, ownBlock, client } = await enter(context);
    const names = [...new Set(trustedHeaders.flatMap((each) => each.names))];
    expect(names.length).toBeGreaterThan(150);
    const cookie = cookiesOf(await logIn(client, subdomains.auth));
    const asked = [`${subdomains.app}/`, `${subdomains.app}/share/a`, `${subdomains.app}/hook`, ownBlock];
    for (const url of asked) {
      // PHP's own server reads any punctuation as a hyphen.
      for (const character of "_.!#$%&'*+^`|~") {
        const forged = { [`Remote${character}User`]: 'mallory', [`X-Auth${character}Session`]: 'mallory' };
        const seen = seenBy(await client.ask(url, { headers: { cookie, ...forged } }));
        expect(JSON.stringify(seen), character).not.toContain('mallory');
      }
      // As many as fit into the headers that the application accepts.
      for (let at = 0; at < names.length; at += 60) {
        const some = names.slice(at, at + 60);
        for (const spelled of [
          some,
          some.map((each) => each.replaceAll('-', '_')),
          some.map((each) => each.replaceAll('-', '.')),
        ]) {
          const forged = Object.fromEntries(spelled.map((each) => [each, 'mallory']));
          const seen = seenBy(
            await client.ask(url, { headers: { cookie, ...forged, 'x-api-key': 'kept', 'x-auth-token': 'kept' } }),
          );
          const arrived = seen.headers.filter(([, value]) => value.includes('mallory')).map(([header]) => header);
          expect(arrived, url).toEqual([]);
          expect(headersOf(seen)).toMatchObject({ 'x-api-key': 'kept', 'x-auth-token': 'kept' });
        }
      }
    }
  });

  test('the original method and address are the real ones, whatever a client says', async (context) => {
    const { subdomains, ports, upstream, client } = await enter(context);
    for (const { app, auth } of [subdomains, ports]) {
      for (const headers of [
        { 'x-original-url': 'https://mallory.example.net/', 'x-original-method': 'GET' },
        { 'x-forwarded-host': 'mallory.example.net', 'x-forwarded-uri': '/mallory', 'x-forwarded-proto': 'ftp' },
        { 'x-forwarded-method': 'POST', 'x-original-method': 'DELETE' },
      ]) {
        const led = await client.ask(`${app}/page`, { headers: { ...navigation, ...headers } });
        expect([led.status, led.headers.location]).toEqual([302, loginAddress(auth, `${app}/page`)]);
      }
      const posted = { ...navigation, 'x-forwarded-method': 'GET', 'x-original-method': 'GET' };
      expect((await client.ask(app, { method: 'POST', headers: posted })).status).toBe(401);
    }
    // A token for one host, at another that is made to look like it: in nginx, any name that nobody else has comes here.
    const secret = await makeToken(client, ports.auth, { hosts: ['other.example.test'] });
    upstream.recorded.length = 0;
    for (const headers of [{ 'x-forwarded-host': 'other.example.test' }, { host: 'other.example.test' }]) {
      await client.ask(ports.app, { headers: { ...headers, authorization: `Bearer ${secret}` } });
    }
    expect(upstream.recorded).toEqual([]);
  });

  test('what is named public is open to everybody, who is nobody there, and no spelling of it leads elsewhere', async (context) => {
    const { subdomains, upstream, client } = await enter(context);
    const { app, auth } = subdomains;
    const cookie = cookiesOf(await logIn(client, auth));
    const forged = { 'remote-user': 'mallory', 'x-auth-method': 'session', 'x-forwarded-for': '203.0.113.66' };
    for (const path of ['/share/', '/share/a%20b?c=d', '/hook', '/hook?a=b']) {
      const body = 'of a stranger';
      const seen = seenBy(await client.ask(app, { method: 'POST', path, body, headers: { ...forged, cookie } }));
      expect(seen).toMatchObject({ method: 'POST', url: path, body: { bytes: body.length } });
      expect(headersOf(seen)).toMatchObject({ 'x-forwarded-for': '127.0.0.1' });
      expect(seen.headers.filter(([name]) => /^(remote|x-auth|cookie)/i.test(name))).toEqual([]);
    }
    upstream.recorded.length = 0;
    for (const path of ['/', '/shared/', '/SHARE/a', '/hook/', '/hooks', '/hook/../page', '/share/../page']) {
      expect((await client.ask(app, { path })).status, path).toBe(401);
    }
    expect(upstream.recorded).toEqual([]);
    const spellings = [
      '%2e%2e/page',
      '..%2fpage',
      '.%2E%5c..%2Fpage',
      '..%5c..%5Cpage',
      '..\\page',
      '%2e%2e%2f%2e%2e%2fpage',
      'a/../../page',
      '..//page',
    ];
    for (const spelling of [...spellings.map((each) => `/share/${each}`), '/page/../share/a', '/page/..%2fshare/a']) {
      await client.ask(app, { path: spelling });
    }
    for (const { url } of upstream.recorded) expect(url).toMatch(/^\/share\/(?!.*(?:[.][.]|%2e|%5c|\\))/i);
  });

  test('cookies of the application come through as they are; ours do not, wherever they stand', async (context) => {
    const { subdomains, ports, client } = await enter(context);
    for (const { app, auth } of [subdomains, { ...subdomains, app: subdomains.samePort }, ports]) {
      const ours = cookiesOf(await logIn(client, auth)).split('; ');
      expect(ours).toHaveLength(app === ports.app ? 2 : 3);
      const [a = '', b = '', c = b] = ours;
      const theirs = [
        'plain=1',
        'quoted="a; b=c"',
        'equals=a==b=',
        'dollar=$1$x{http.request.host}%41',
        'empty=',
        'bare',
      ];
      const [first = '', second = '', third = '', ...rest] = theirs;
      for (const cookie of [
        [...ours, ...theirs],
        [...theirs, ...ours],
        [first, a, second, b, third, c, ...rest],
        [a, first, b, second, third, c, ...rest, a, b],
      ]) {
        const answer = await client.ask(app, { headers: { cookie: cookie.join('; ') } });
        expect(headersOf(seenBy(answer)).cookie).toBe(theirs.join('; '));
      }
      for (const only of [ours, ours.toReversed(), [a, a, b]]) {
        const answer = await client.ask(app, { headers: { cookie: only.join('; ') } });
        expect(headersOf(seenBy(answer)).cookie).toBeUndefined();
      }
      // As many as fit into a header.
      const long = Array.from({ length: 800 }, (_, at) => `n${at}=${at % 10}`);
      const filled = await client.ask(app, { headers: { cookie: [a, ...long, b].join('; ') } });
      expect(headersOf(seenBy(filled)).cookie).toBe(long.join('; '));
      // Of names that only look like ours nothing is taken; and nothing is hidden in a quoted value, or by being many.
      const alike = 'xbackchannel_session=1; backchannel_session2=2; backchannel_pass=3; Backchannel_Device=4';
      const looks = await client.ask(app, { headers: { cookie: `${alike}; ${ours.join('; ')}` } });
      expect(headersOf(seenBy(looks)).cookie).toBe(alike);
      const many = Array.from({ length: 12 }, (_, at) => `n${at}="; ${ours[at % ours.length]};x"`).join('; ');
      const hidden = await client.ask(app, { headers: { cookie: `${ours.join('; ')}; ${many}` } });
      expectNoneOf(ours, seenBy(hidden));
    }
  });

  test('a token opens it in each of its forms, and is not handed on', async (context) => {
    const { subdomains, client } = await enter(context);
    const secret = await makeToken(client, subdomains.auth, { hosts: ['app.example.test'] });
    const basic = (user: string, password = secret) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    for (const headers of [
      { authorization: `Bearer ${secret}` },
      { authorization: `bearer  ${secret}` },
      ...['', 'a', 'ab', 'abc', 'ü', 'a long name of somebody'].map((user) => ({ authorization: basic(user) })),
      { 'x-backchannel-token': secret },
    ]) {
      const seen = seenBy(await client.ask(subdomains.app, { headers }));
      expect(headersOf(seen)).toMatchObject({
        'remote-user': 'alice',
        'x-auth-method': 'token',
        'x-auth-session': '-',
      });
      expect(headersOf(seen).authorization).toBeUndefined();
      expect(headersOf(seen)['x-backchannel-token']).toBeUndefined();
    }
    // The application's own credentials come through beside ours.
    for (const own of [basic('user', 'secret'), basic('bct_', 'bct'), 'Bearer eyJhbGciOi', 'Digest username="bct_"']) {
      const seen = seenBy(
        await client.ask(subdomains.app, { headers: { authorization: own, 'x-backchannel-token': secret } }),
      );
      expect(headersOf(seen).authorization).toBe(own);
    }
  });

  test('an application that replays all that it got opens nothing of the API, with or without COOKIE_DOMAIN', async (context) => {
    const { subdomains, ports, upstream, client } = await enter(context);
    for (const { server, auth, apps } of [
      { ...subdomains, apps: [subdomains.app, subdomains.samePort] },
      { ...ports, apps: [ports.app] },
    ]) {
      const cookie = cookiesOf(await logIn(client, auth));
      const secret = await makeToken(client, auth, {});
      upstream.recorded.length = 0;
      for (const app of apps) {
        for (const headers of [
          { cookie },
          { authorization: `Bearer ${secret}` },
          { authorization: `Basic ${Buffer.from(`x:${secret}`).toString('base64')}` },
          { 'x-backchannel-token': secret, cookie },
        ]) {
          expect((await client.ask(`${app}/page`, { headers: { ...headers, ...navigation } })).status).toBe(200);
        }
      }
      expect(upstream.recorded).toHaveLength(apps.length * 4);
      for (const seen of upstream.recorded) expectNoneOf([...cookie.split('; '), secret], seen);

      // Its own door is open to the cookie itself, so that what is tried below means something.
      expect(guardedOperations.length).toBeGreaterThan(25);
      expect((await client.ask(`${server.url}/api/v1/auth/me`, { headers: { cookie } })).status).toBe(200);
      for (const seen of upstream.recorded) {
        const headers = replayable(seen);
        const answers = guardedOperations.map(async ({ method, path }) => {
          const body = method === 'GET' ? {} : { body: '{}' };
          const { status } = await client.ask(server.url + path, {
            method,
            headers: { ...headers, 'content-type': 'application/json' },
            ...body,
          });
          return `${status} ${method} ${path}`;
        });
        const expected = guardedOperations.map(({ method, path }) => `401 ${method} ${path}`);
        expect(await Promise.all(answers)).toEqual(expected);
      }
    }
  });

  test('sign-out and revocation hold at the next request', async (context) => {
    const { subdomains, ports, client } = await enter(context);
    for (const { app, auth } of [subdomains, ports]) {
      const cookie = cookiesOf(await logIn(client, auth));
      const secret = await makeToken(client, auth, {});
      const status = async (headers: Record<string, string>) => (await client.ask(`${app}/page`, { headers })).status;
      expect(await status({ cookie })).toBe(200);
      expect(await status({ authorization: `Bearer ${secret}` })).toBe(200);

      const headers = { cookie };
      const { tokens } = JSON.parse(String((await client.ask(`${auth}/api/v1/auth/tokens`, { headers })).body));
      for (const { id } of tokens) await client.ask(`${auth}/api/v1/auth/tokens/${id}`, { method: 'DELETE', headers });
      expect(await status({ authorization: `Bearer ${secret}` })).toBe(401);
      await client.ask(`${auth}/api/v1/auth/logout`, { method: 'POST', headers });
      expect(await status({ cookie })).toBe(401);
    }
  });

  test('with the database away, and with BackChannel gone, nobody gets in', async (context) => {
    const { subdomains, upstream, client } = await enter(context);
    const { app, auth, server } = subdomains;
    const cookie = cookiesOf(await logIn(client, auth));
    const secret = await makeToken(client, auth, {});
    upstream.recorded.length = 0;
    const statuses = async () => {
      const all = [{ cookie }, { cookie, ...navigation }, { authorization: `Bearer ${secret}` }];
      return Promise.all(all.map(async (headers) => (await client.ask(`${app}/page`, { headers })).status >= 500));
    };
    {
      using database = new DatabaseSync(join(server.dataDir, 'backchannel.db'));
      database.exec(
        'ALTER TABLE backchannel_sessions RENAME TO elsewhere; ALTER TABLE backchannel_tokens RENAME TO elsewhere_too',
      );
      expect(await statuses()).toEqual([true, true, true]);
      database.exec(
        'ALTER TABLE elsewhere RENAME TO backchannel_sessions; ALTER TABLE elsewhere_too RENAME TO backchannel_tokens',
      );
    }
    expect(upstream.recorded).toEqual([]);
    expect((await client.ask(`${app}/page`, { headers: { cookie } })).status).toBe(200);

    upstream.recorded.length = 0;
    expect(await server.stop()).toBe(0);
    expect(await statuses()).toEqual([true, true, true]);
    expect((await client.ask(auth)).status).toBeGreaterThanOrEqual(500);
    expect(upstream.recorded).toEqual([]);
  });
});

test.for([
  ['nginx', 'nginx.conf'],
  ['caddy', 'Caddyfile'],
] as const)('%s takes examples/%s', async ([name, file], context) => {
  if ((await findProxy(name)) === null) return context.skip(`skipped: no ${name} here`);
  const folder = await mkdtemp(join(tmpdir(), 'backchannel-proxies-'));
  context.onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const certificate = await makeCertificate(folder, ['*.example.com']);
  if (certificate === null) return context.skip('skipped: no openssl here');
  const example = await readFile(join(import.meta.dirname, '../../examples', file), 'utf8');
  const [http = 0, https = 0] = await findFreePorts(2);
  // The certificates are what people put there; ports below 1024 are for root.
  const block = example
    .replace(/\/etc\/letsencrypt\/live\/\S+\/fullchain\.pem/g, certificate.cert)
    .replace(/\/etc\/letsencrypt\/live\/\S+\/privkey\.pem/g, certificate.key)
    .replace(/listen 80;/g, `listen ${http};`)
    .replace(/listen 443 ssl;/g, `listen ${https} ssl;`);
  expect(await checkBlocks(name, [block])).toBeNull();
  expect(await checkBlocks(name, [`${block}}`])).not.toBeNull();
});

async function signIn(page: Page): Promise<void> {
  await page.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
}

/** As a page's script asks its own server. */
const statusFromPage = (page: Page): Promise<number> =>
  page.evaluate(async () => (await fetch('/page/data', { redirect: 'manual' })).status);

async function logIn(client: Client, auth: string): Promise<Answer> {
  const answer = await client.ask(`${auth}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password: PASSWORD }),
  });
  expect(answer.status, String(answer.body)).toBe(200);
  return answer;
}

/** Creates a token of scope proxy in a separate session; returns its secret. */
async function makeToken(client: Client, auth: string, { hosts }: { hosts?: string[] }): Promise<string> {
  const answer = await client.ask(`${auth}/api/v1/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', cookie: cookiesOf(await logIn(client, auth)) },
    body: JSON.stringify({ name: 'of a test', scope: 'proxy', hosts }),
  });
  expect(answer.status, String(answer.body)).toBe(200);
  return JSON.parse(String(answer.body)).secret;
}

/** Every operation that is not for all, on both faces, and forward-auth itself. */
const guardedOperations = [
  { method: 'GET', path: '/api/v1/auth/verify' },
  ...operations
    .filter(({ access }) => access !== 'anyone')
    .flatMap((operation) => (['REST', 'tRPC'] as const).map((face) => targetOf(face, operation))),
];

function loginAddress(auth: string, next: string): string {
  const url = new URL('/login', auth);
  url.searchParams.set('next', next);
  return url.href;
}

/** What the application got, as it says itself. */
function seenBy(answer: Answer): Recorded {
  expect(answer.status, String(answer.body.subarray(0, 500))).toBe(200);
  return JSON.parse(String(answer.body));
}

function headersOf(seen: Recorded | undefined): Record<string, string> {
  return Object.fromEntries((seen?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]));
}

/** None of the secrets, as they are or in base64, in anything that the application got. */
function expectNoneOf(secrets: readonly string[], { method, url, headers }: Recorded): void {
  const text = [method, url, ...headers.flat()].join('\n');
  const decoded = headers
    .map(([, value]) => Buffer.from(value.replace(/^\w+ /, ''), 'base64').toString('latin1'))
    .join('\n');
  for (const secret of secrets) {
    const value = secret.slice(secret.indexOf('=') + 1);
    expect(value.length).toBeGreaterThan(20);
    expect(text).not.toContain(value);
    expect(decoded).not.toContain(value);
  }
}

/** All of it but what belongs to one connection, or to a body that is another now. */
const replayable = (seen: Recorded): Record<string, string> => {
  const {
    host: _host,
    connection: _connection,
    'content-length': _length,
    'transfer-encoding': _coding,
    ...rest
  } = headersOf(seen);
  return rest;
};
