// The sign-in page's advice for a wrong setup: another address than PUBLIC_URL, or being sent back again and again.
// Runs on one engine: the advice doesn't depend on the database.
import { describe, expect, test } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { PASSWORD, type RawAnswer, sendRaw, startServer, type TestServer } from '../../support/harness.ts';

const https = { secureCookies: true, cookieName: '__Host-backchannel_session' };
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const wordsOf = ({ text }: RawAnswer) =>
  text
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]+>/g, '')
    .replace(/\s+/g, ' ')
    .replaceAll('&#39;', "'");

describe('the address in the address bar decides whether there is a form:', () => {
  const local = { publicUrl: 'http://localhost:0' };
  const named = { publicUrl: 'http://nas.example:0' };
  const tls = { publicUrl: 'https://auth.example.com:0', ...https };
  const trusting = { trustedProxies: ['127.0.0.1'] };
  const reports = (proto: string, host = 'auth.example.com:PORT') => ({ host, 'x-forwarded-proto': proto });
  const form = 'a form';
  const setting = (value: string) => `To sign in here, set PUBLIC_URL=${value} and restart the server.`;

  test.each<[string, Partial<Config>, Record<string, string>, string]>([
    ['the address itself', local, {}, form],
    ['another spelling of it', named, { host: 'NAS.Example:PORT' }, form],
    ['a proxy with TLS that does not report it', tls, { host: 'auth.example.com:PORT' }, form],
    ['an untrusted proxy', tls, reports('http'), form],
    [
      'a trusted proxy, over https',
      { ...tls, ...trusting },
      { ...reports('https', '127.0.0.1:PORT'), 'x-forwarded-host': 'auth.example.com:PORT' },
      form,
    ],
    ['an empty Host', local, { host: '' }, form],
    ['an invalid scheme', { ...tls, ...trusting }, reports('x'), form],
    // Loopback addresses: the password does not leave the machine.
    ['its IPv4 address', local, { host: '127.0.0.1:PORT' }, 'http://127.0.0.1:PORT'],
    ['its IPv6 address', local, { host: '[::1]:PORT' }, 'http://[::1]:PORT'],
    [
      'localhost for an address',
      { publicUrl: 'http://127.0.0.1:0' },
      { host: 'localhost:PORT' },
      'http://localhost:PORT',
    ],
    ['another port', local, { host: 'localhost:1' }, 'http://localhost:1'],
    [
      'a proxy that rewrites Host',
      tls,
      { host: '127.0.0.1:PORT', 'sec-fetch-mode': 'navigate' },
      'https://127.0.0.1:PORT',
    ],
    // Others.
    ['another name', named, { host: 'nas:PORT' }, 'You opened http://nas:PORT.'],
    ['no port', named, { host: 'nas.example' }, 'You opened http://nas.example.'],
    ['no proxy, over http', tls, { host: 'nas:PORT' }, 'You opened http://nas:PORT.'],
    [
      'a trusted proxy, over http',
      { ...tls, ...trusting },
      reports('http'),
      'You opened http://auth.example.com:PORT.',
    ],
    [
      'another name over https',
      tls,
      { host: 'x.example', 'sec-fetch-mode': 'navigate' },
      'You opened https://x.example.',
    ],
    ['the IP address of a container', local, { host: '172.17.0.2:8000' }, setting('http://172.17.0.2:8000')],
    ['its IPv6 address', local, { host: '[fd00::2]:8000' }, setting('http://[fd00::2]:8000')],
    ['its name without a domain', local, { host: 'nas:8000' }, setting('http://nas:8000')],
    // Anyone can point a name at this server and link to it.
    [
      'a name with a domain',
      local,
      { host: 'evil.example:8000' },
      'set PUBLIC_URL to the address that people should use',
    ],
  ])('%s', async (_what, config, headers, expected) => {
    await using server = await startServer(config);
    const own = new URL(server.url);
    const withPort = (text: string) => text.replaceAll('PORT', own.port);
    const sent = Object.entries({ host: own.host, ...headers }).map(([name, value]) => [name, withPort(value)]);
    const answer = await sendRaw(server.url, 'GET /login?next=/docs', { headers: Object.fromEntries(sent) });
    expect(answer.status).toBe(200);
    const words = wordsOf(answer);
    const link = `href="${server.url}/login?next=${encodeURIComponent(`${server.url}/docs`)}"`;
    const isBanner = /^https?:/.test(expected);
    if (isBanner) expect(words).toContain(`This address is not PUBLIC_URL. You are at ${withPort(expected)},`);
    else if (expected !== form) expect(words).toContain(withPort(expected));
    else expect(words).not.toContain('PUBLIC_URL');
    const hasForm = isBanner || expected === form;
    expect(/<form|type="password"/.test(answer.text)).toBe(hasForm);
    const hasButton = isBanner || expected.startsWith('You opened');
    expect(answer.text.includes(link)).toBe(hasButton);
    expect(answer.text).not.toContain('PUBLIC_URL=http://evil.example');
  });

  test.each<[string, Partial<Config>, string]>([
    ['over http', tls, 'http://auth.example.com:PORT'],
    ['at another name', named, 'http://nas:PORT'],
    ['at the address of a container', local, 'http://172.17.0.2:PORT'],
  ])(
    'a form that is sent %s is answered with that page, and its password is not checked',
    async (_where, config, at) => {
      await using server = await startServer(config);
      const origin = at.replace('PORT', new URL(server.url).port);
      const body = String(new URLSearchParams({ password: PASSWORD }));
      const headers = { 'content-type': 'application/x-www-form-urlencoded', host: new URL(origin).host, origin };
      for (const sent of [headers, { ...headers, 'sec-fetch-site': 'same-origin' }]) {
        const answer = await sendRaw(server.url, 'POST /login', { headers: sent, body });
        expect([answer.status, answer.headers['set-cookie']]).toEqual([403, undefined]);
        expect(wordsOf(answer)).toContain(`You opened ${origin}.`);
        expect(answer.text).not.toMatch(/<form|ALLOWED_ORIGINS/);
      }
      const events = await server.services.events.list({ limit: 10 });
      expect(JSON.stringify(events)).not.toContain('login.');
    },
  );

  test('a form that is sent to a loopback address signs in, also where cookies are Secure', async () => {
    await using server = await startServer(tls);
    const { port } = new URL(server.url);
    for (const origin of [`http://localhost:${port}`, `http://127.0.0.1:${port}`, `http://[::1]:${port}`]) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded', host: new URL(origin).host, origin };
      const body = String(new URLSearchParams({ password: PASSWORD }));
      expect((await sendRaw(server.url, 'POST /login', { headers, body })).status).toBe(303);
    }
  });
});

describe('the page explains why an application sent a signed-in person here:', () => {
  const configs = {
    http: { publicUrl: 'http://auth.example.com:0' },
    bare: { publicUrl: 'https://auth.example.com:0', ...https },
    domain: { publicUrl: 'https://auth.example.com:0', ...https, cookieDomain: 'example.com' },
  };
  const arrive = async (server: TestServer, query: Record<string, string>, cookie: string) =>
    wordsOf(
      await sendRaw(server.url, `GET /login?${new URLSearchParams(query)}`, {
        headers: { cookie, host: new URL(server.url).host },
      }),
    );
  const signIn = async (server: TestServer) => {
    const body = String(new URLSearchParams({ password: PASSWORD, remember: 'yes' }));
    const { headers } = await sendRaw(server.url, 'POST /login', { headers: form, body });
    return (headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');
  };

  test.each<[string, keyof typeof configs, string, string[]]>([
    [
      'COOKIE_DOMAIN is not set',
      'bare',
      'https://photos.example.com/',
      [
        'Does photos.example.com keep sending you back here?',
        'photos.example.com is neither auth.example.com nor under COOKIE_DOMAIN, which is not set. A sign-in here is not valid there.',
      ],
    ],
    [
      'COOKIE_DOMAIN does not cover the host',
      'domain',
      'https://photos.example.net:8443/x',
      ['photos.example.net:8443 is neither auth.example.com nor under COOKIE_DOMAIN (example.com).'],
    ],
    [
      'the application was opened over http',
      'domain',
      'http://photos.example.com/',
      ['You opened photos.example.com over http, and the cookie is only sent over https.'],
    ],
  ])('%s', async (_why, name, next, words) => {
    await using server = await startServer(configs[name]);
    const cookie = await signIn(server);
    // The problem remains, so the advice does not depend on the time.
    server.advance(3_600_000);
    const page = await arrive(server, { next }, cookie);
    for (const each of words) expect(page).toContain(each);
    expect(page).not.toContain('Continue to');
    // Without a session there is only the form.
    expect(await arrive(server, { next }, '')).not.toContain('COOKIE_DOMAIN');
  });

  test.each([
    'https://photos.dyn-home.example/',
    'https://auth.example.com.evil.example/',
    'https://photos.example.com/',
    'http://192.0.2.7:8000/',
    'https://github.io/',
  ])('a link advises no setting with a value from it: %s', async (next) => {
    for (const config of Object.values(configs)) {
      await using server = await startServer(config);
      const { hostname } = new URL(next);
      const labels = hostname.split('.').map((_, index, all) => all.slice(index).join('.'));
      for (const cookie of [await signIn(server), '']) {
        const words = await arrive(server, { next }, cookie);
        for (const label of labels) expect(words).not.toMatch(new RegExp(`[A-Z]_[A-Z]+ ?= ?${RegExp.escape(label)}`));
      }
    }
  });

  test.each([
    ['proxy-not-trusted', 'Add the proxy to TRUSTED_PROXIES.'],
    ['address-not-told', 'Configure it to send X-Forwarded-Proto, -Host and -Uri'],
    ['address-not-usable', 'Open it again; you are signed in.'],
    ['host-not-allowed', 'Its host is neither auth.example.com nor under example.com, or'],
  ])('forward-auth gave a reason: %s', async (reason, words) => {
    await using server = await startServer(configs.domain);
    const cookie = await signIn(server);
    const page = await arrive(server, { reason }, cookie);
    expect(page).toContain('Did an application send you here?');
    expect(page).toContain(words);
    expect(await arrive(server, { reason }, '')).not.toContain('application');
  });

  test('the reason from forward-auth is shown after the sign-in, even after a wrong password', async () => {
    await using server = await startServer(configs.domain);
    const reason = 'host-not-allowed';
    const field = `<input type="hidden" name="reason" value="${reason}">`;
    const submit = (fields: Record<string, string>) =>
      sendRaw(server.url, 'POST /login', { headers: form, body: String(new URLSearchParams(fields)) });
    expect((await sendRaw(server.url, `GET /login?reason=${reason}`)).text).toContain(field);
    expect((await submit({ password: 'wrong', reason })).text).toContain(field);
    const signedIn = await submit({ password: PASSWORD, reason });
    expect([signedIn.status, signedIn.headers.location]).toEqual([303, [`/login?reason=${reason}`]]);
    // With a valid return address the reason is dropped, and an unknown reason leads to the sessions.
    const next = `${server.url}/docs`;
    expect((await submit({ password: PASSWORD, reason, next })).headers.location).toEqual(['/docs']);
    expect((await submit({ password: PASSWORD, reason: '//evil.example' })).headers.location).toEqual(['/']);
    expect((await sendRaw(server.url, 'GET /login?reason="><b>')).text).not.toContain('name="reason"');
  });

  test('there is nothing to explain if no application sent the person here', async () => {
    await using server = await startServer(configs.domain);
    const cookie = await signIn(server);
    for (const next of ['', '/docs', `${server.url}/docs`, 'javascript:x', 'x', '//', 'mailto:a@b.example']) {
      expect(await arrive(server, { next }, cookie)).not.toContain('sending you back');
    }
    for (const reason of ['', 'x', '__proto__', 'constructor']) {
      expect(await arrive(server, { reason }, cookie)).not.toContain('application');
    }
  });
});
