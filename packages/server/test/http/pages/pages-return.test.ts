// Where a sign-in on the page leads: back to the application, and never to an attacker's address.
// Runs on one engine: return addresses don't depend on the database.
import { afterAll, describe, expect, test } from 'vitest';
import { PASSWORD, type RawAnswer, sendRaw, startServer, type TestServer } from '../../support/harness.ts';

// PORT in an address is the server's port.
const plain = await startServer({ publicUrl: 'http://auth.example.com:0' });
const domain = await startServer({
  publicUrl: 'https://auth.example.com:0',
  secureCookies: true,
  cookieName: '__Host-backchannel_session',
  cookieDomain: 'example.com',
});
afterAll(() => Promise.all([plain, domain].map((each) => each[Symbol.asyncDispose]())));
const servers = { plain, domain };

const form = { 'content-type': 'application/x-www-form-urlencoded' };
const withPort = (server: TestServer, address: string) => address.replaceAll('PORT', new URL(server.url).port);
const encoded = (next: string) => String(new URLSearchParams({ next }));
const cookiesOf = ({ headers }: RawAnswer) =>
  (headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');

function signIn(server: TestServer, next: string, password = PASSWORD): Promise<RawAnswer> {
  const body = `${new URLSearchParams({ password })}&${encoded(next)}`;
  return sendRaw(server.url, 'POST /login', { headers: form, body });
}

/** The session cookies of a signed-in browser, created once for each server. */
const signedIn = {
  plain: cookiesOf(await signIn(plain, '')),
  domain: cookiesOf(await signIn(domain, '')),
};

const linksOf = ({ text }: RawAnswer) =>
  [...text.matchAll(/\s(?:href|src|action|content|value)="(.*?)"/g)].map(([, value = '']) => value);
const unescaped = (text: string) =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');

/** Where a browser is led after a form: by a redirect on this server, or by a page of its own. */
function leadsTo({ status, headers, text }: RawAnswer): string | undefined {
  if (status === 303) return headers.location?.[0];
  const refresh = headers.refresh?.[0] ?? /http-equiv="refresh" content="(.*?)"/.exec(text)?.[1];
  return refresh === undefined ? undefined : unescaped(refresh.replace(/^0;url=/, ''));
}

const formActionOf = ({ headers }: RawAnswer) =>
  /form-action ([^;]*)/.exec(headers['content-security-policy']?.[0] ?? '')?.[1];

describe('a sign-in leads to the address in next', () => {
  test.each([
    ['plain', 'http://auth.example.com:PORT/docs?x=1#y', 'http://auth.example.com:PORT/docs?x=1#y'],
    [
      'plain',
      'http://auth.example.com:3000/deep/link?a=b&c=d%26e',
      'http://auth.example.com:3000/deep/link?a=b&c=d%26e',
    ],
    ['plain', 'https://auth.example.com/', 'https://auth.example.com/'],
    ['plain', 'http://auth.example.com', 'http://auth.example.com/'],
    ['plain', '/docs', 'http://auth.example.com:PORT/docs'],
    ['domain', 'https://photos.example.com/album/7?size=big', 'https://photos.example.com/album/7?size=big'],
    ['domain', 'https://a.b.example.com:8443/', 'https://a.b.example.com:8443/'],
    ['domain', 'https://example.com/', 'https://example.com/'],
    ['domain', '/redoc', 'https://auth.example.com:PORT/redoc'],
    ['domain', 'https://photos.example.com/?q="><b>\'', null],
    // Browsers send these characters in a query as they are.
    ['domain', 'https://photos.example.com/x?left={%22expr%22:%22{job=\\%22api\\%22}%22}', null],
    ['domain', "https://photos.example.com?\\\\evil.example/|^`~!$&'()*+,;=:@/?[]", null],
    ['domain', 'https://photos.example.com/?//evil.example#\\@evil.example', null],
    ['plain', '/docs?a=\\b', 'http://auth.example.com:PORT/docs?a=\\b'],
    ['domain', 'https://photos.example.com/?q=%22%3E%3Cb%3E%27', 'https://photos.example.com/?q=%22%3E%3Cb%3E%27'],
    ['domain', 'https://photos.example.com/?q=\'&x="<>', 'https://photos.example.com/?q=%27&x=%22%3C%3E'],
  ] as const)('%s: %s', async (name, given, expected) => {
    const server = servers[name];
    const next = withPort(server, given);
    const target = expected === null ? null : withPort(server, expected);
    const { href, origin } = new URL(target ?? next);
    const isOwn = origin === new URL(server.url).origin;

    const page = await sendRaw(server.url, `GET /login?${encoded(next)}`);
    expect(page.status).toBe(200);
    // The chain of redirects after the form never leaves this server (CSP 3, 6.4.2).
    expect(formActionOf(page)).toBe("'self'");
    const hidden = unescaped(/name="next" value="(.*?)"/.exec(page.text)?.[1] ?? '');
    const wrong = await signIn(server, hidden, 'wrong');
    expect([wrong.status, formActionOf(wrong)]).toEqual([401, "'self'"]);
    const right = await signIn(server, hidden);
    expect([right.status, leadsTo(right)]).toEqual(isOwn ? [303, href.slice(origin.length)] : [200, href]);
    if (!isOwn) expect(linksOf(right).map(unescaped)).toContain(href);

    const again = await sendRaw(server.url, `GET /login?${encoded(next)}`, { headers: { cookie: signedIn[name] } });
    expect([again.status, leadsTo(again)]).toEqual([303, isOwn ? href.slice(origin.length) : href]);
  });
});

describe('a foreign address is dropped, and is neither a redirect nor a link', () => {
  const everywhere = [
    'https://evil.example/',
    '//evil.example',
    '//evil.example/auth.example.com',
    '///evil.example',
    '////evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '\\/evil.example',
    '/\\/evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '\t//evil.example',
    ' //evil.example',
    '\u0000//evil.example',
    'https:evil.example',
    'https:/evil.example',
    'https:///evil.example',
    'https:\\\\evil.example',
    'http:evil.example',
    'hTTps://evil.example',
    'ht\ntps://evil.example',
    'evil.example',
    'evil.example/auth.example.com',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\tscript:alert(1)',
    'javascript://auth.example.com/%0aalert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'blob:https://auth.example.com/x',
    'file:///etc/passwd',
    'ftp://auth.example.com/',
    'ws://auth.example.com/',
    'https://auth.example.com@evil.example/',
    'https://auth.example.com:x@evil.example/',
    'https://auth.example.com%40evil.example/',
    'https://user@auth.example.com/',
    'https://user:password@auth.example.com/',
    'https://auth.example.com:password@auth.example.com/',
    'https://@auth.example.com/',
    'https://evil.example\\@auth.example.com/',
    'https://evil.example#@auth.example.com/',
    'https://evil.example?@auth.example.com/',
    'https://evil.example\\.auth.example.com/',
    'https://auth.example.com.evil.example/',
    'https://auth.example.comevil.example/',
    'https://notauth-example.com/',
    'https://evilexample.com/',
    'https://xauth.example.com.evil/',
    'https://auth.example.com./',
    'https://.auth.example.com/',
    'https://auth..example.com/',
    'https://x;sandbox;.example.com/',
    'https://x,sandbox,.example.com/',
    'https://*.example.com/',
    "https://'none'.example.com/",
    "https://x'unsafe-inline'.example.com/",
    'https://auth.example.com%00.evil.example/',
    'https://auth.example.com%2eevil.example/',
    'https://evil.example%2f.example.com/',
    'https://evil.example%23.example.com/',
    'https://auth.examplе.com/',
    'https://xn--auth-5cd.exampl.com/',
    'https://ａuth.example.com/',
    'https://auth。example。com/',
    'https://127.0.0.1/',
    'https://0x7f.1/',
    'https://photos.example.com%C2%AD/',
    'https://2130706433/',
    'https://[::1]/',
    'https://localhost/',
    'https%3A%2F%2Fevil.example',
    '%2f%2fevil.example',
    '%5c%5cevil.example',
    ...['https://evil.example\\', '\\', '/\\', '//evil.example\\', 'https://auth.example.com\\'].flatMap((start) => [
      `${start}?`,
      `${start}auth.example.com/?`,
      `${start}@auth.example.com/?next=\\`,
      `${start}#?`,
    ]),
    'https://auth.example.com/a\\b?c',
    'https://evil.example?\\@auth.example.com/',
    'https://evil.example#\\@auth.example.com/',
    'https://auth.example.com/?a\tb',
    'https://auth.example.com/?a b',
    'https://auth.example.com/?\u0000',
    'https://auth.example.com/?\u007f',
    'https://auth.example.com/?é',
    'https://auth.example.com/?a\r\nLocation: https://evil.example',
    'https://auth\u3002example\uff0ecom/?',
    'https://auth.example.com\u2024evil.example/?',
    'https://auth.example.com/\r\nSet-Cookie: x=y',
    '/\r\nLocation: https://evil.example',
    '/%0d%0a/evil.example\r\n',
    '[object Object]',
    'null',
    '.',
    '?',
    '#',
    '',
  ];
  const rows: [keyof typeof servers, string][] = [
    ...everywhere.flatMap((next): [keyof typeof servers, string][] => [
      ['plain', next],
      ['domain', next],
    ]),
    ['plain', 'http://photos.example.com/'],
    ['plain', 'http://example.com/'],
    ['domain', 'http://auth.example.com/'],
    ['domain', 'http://photos.example.com/'],
    ['domain', 'https://com/'],
    ['domain', 'https://notexample.com/'],
  ];

  test.each(rows)('%s: %j', async (name, next) => {
    const server = servers[name];
    const { origin } = new URL(server.url);
    const own = (link: string) => /^(\/(login|logout|docs|redoc|openapi\.json|sessions)?|data:image.*)$/.test(link);
    const known = ['width=device-width, initial-scale=1', 'noindex', 'operator', 'yes'];
    const expectHarmless = (answer: RawAnswer) => {
      expect(formActionOf(answer)).toBe("'self'");
      // The banner links to PUBLIC_URL, because these requests have another Host.
      const foreign = linksOf(answer).filter((link) => !own(link) && !known.includes(link));
      expect(foreign.filter((link) => link !== `${origin}/login`)).toEqual([]);
      expect(answer.headers.location).toBeUndefined();
      expect(leadsTo(answer)).toBeUndefined();
      expect(answer.text).not.toContain('http-equiv');
    };
    expectHarmless(await sendRaw(server.url, `GET /login?${encoded(next)}`));
    expectHarmless(await sendRaw(server.url, `GET /login?${encoded(next)}`, { headers: { cookie: signedIn[name] } }));
    expectHarmless(await signIn(server, next, 'wrong'));
    await server.services.throttle.clear();
    const right = await signIn(server, next);
    expect([right.status, right.headers.location]).toEqual([303, ['/']]);
    expect(Object.keys(right.headers)).not.toContain('x');
    expect(right.headers['set-cookie']?.every((line) => /^(__Host-|__Secure-)?backchannel_/.test(line))).toBe(true);
  });

  test('a sign-in address of more than 7,500 bytes is dropped, and the page says so before and after the sign-in', async () => {
    const words = /The address you came from is too long to return to/;
    const start = 'https://photos.example.com/?';
    const prefix = `${new URL(domain.url).origin}/login?${encoded(start)}`;
    for (const [length, isKept] of [
      [7500, true],
      [7501, false],
      [9000, false],
    ] as const) {
      const next = start + 'x'.repeat(length - prefix.length);
      const page = await sendRaw(domain.url, `GET /login?${encoded(next)}`);
      expect([length, page.status, words.test(page.text)]).toEqual([length, 200, !isKept]);
      expect(page.text.includes('name="next"')).toBe(isKept);
    }
    const told = await sendRaw(domain.url, 'GET /login?dropped=long');
    expect(told.text).toMatch(words);
    expect(told.text).toContain('<input type="hidden" name="reason" value="address-too-long">');
    const body = String(new URLSearchParams({ password: PASSWORD, reason: 'address-too-long' }));
    const posted = await sendRaw(domain.url, 'POST /login', { headers: form, body });
    expect([posted.status, posted.headers.location]).toEqual([303, ['/login?reason=address-too-long']]);
    const after = await sendRaw(domain.url, 'GET /login?dropped=long', { headers: { cookie: signedIn.domain } });
    expect(after.text).toMatch(words);
    expect((await sendRaw(domain.url, 'GET /login?dropped=x')).text).not.toMatch(words);
  });

  test('an address that appears twice is dropped, too, even if one of them is ours', async () => {
    for (const query of ['next=/docs&next=//evil.example', 'next=//evil.example&next=/docs', 'next=/docs&next=/docs']) {
      const page = await sendRaw(plain.url, `GET /login?${query}`);
      expect([page.status, formActionOf(page)]).toEqual([200, "'self'"]);
      expect(page.text).not.toContain('name="next"');
      const body = `${new URLSearchParams({ password: PASSWORD })}&${query}`;
      const posted = await sendRaw(plain.url, 'POST /login', { headers: form, body });
      expect([posted.status, posted.headers.location]).toEqual([400, undefined]);
    }
  });

  test('the fragment that the browser adds changes nothing but the fragment', async () => {
    const next = 'https://photos.example.com/html?a=1#old';
    for (const [fragment, expected] of [
      ['', '#old'],
      ['#/deep/link?b=c', '#/deep/link?b=c'],
      ['#?next=//evil.example', '#?next=//evil.example'],
      ['@evil.example/', '#@evil.example/'],
      ['\\evil.example', '#\\evil.example'],
      ['#\r\nSet-Cookie: x=y', '#Set-Cookie:%20x=y'],
      ['#"><script>alert(1)</script>', '#%22%3E%3Cscript%3Ealert(1)%3C/script%3E'],
      ['#é;url=//evil.example', '#%C3%A9;url=//evil.example'],
      [`#${'x'.repeat(9000)}`, '#old'],
    ] as const) {
      const body = String(new URLSearchParams({ password: PASSWORD, next, fragment }));
      const answer = await sendRaw(domain.url, 'POST /login', { headers: form, body });
      expect([answer.status, leadsTo(answer)]).toEqual([200, `https://photos.example.com/html?a=1${expected}`]);
      expect(answer.text).not.toContain('<script>alert');
    }
    const body = String(new URLSearchParams({ password: PASSWORD, next: '/docs', fragment: '#//evil.example' }));
    const own = await sendRaw(domain.url, 'POST /login', { headers: form, body });
    expect([own.status, own.headers.location]).toEqual([303, ['/docs#//evil.example']]);
  });

  test('a page that may lead to another origin is never the target of a redirect after a form', async () => {
    const { origin } = new URL(domain.url);
    const app = encodeURIComponent('https://photos.example.com/');
    for (const path of [`/login?next=${app}`, '/logout', '/docs/', '/nothing', '//photos.example.com/']) {
      const answer = await signIn(domain, origin + path);
      expect([path, answer.status, leadsTo(answer)]).toEqual([path, 200, origin + path]);
    }
    // A proxy in front may have a small buffer for headers.
    const long = `https://photos.example.com/?${'x'.repeat(2000)}`;
    const answer = await signIn(domain, long);
    expect([answer.status, answer.headers.refresh, leadsTo(answer)]).toEqual([200, undefined, long]);
  });

  test('the query string of the form itself changes nothing', async () => {
    const body = String(new URLSearchParams({ password: PASSWORD }));
    const answer = await sendRaw(plain.url, 'POST /login?next=/docs', { headers: form, body });
    expect([answer.status, answer.headers.location]).toEqual([303, ['/']]);
  });
});
