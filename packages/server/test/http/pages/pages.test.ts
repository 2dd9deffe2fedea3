// The pages for people, from a browser's side: what they show, what they do, and what they must not do.
// Runs on one engine: the pages call procedures, whose tests run on both.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { occupyPasswordCheck, oneAtATime } from '../../support/busy.ts';
import { makeToken, startOwnServer } from '../../support/callers.ts';
import { openElsewhere, tearTable } from '../../support/elsewhere.ts';
import { type Answer, PASSWORD, sendRaw, startServer, type TestClient } from '../../support/harness.ts';
import { createRandom } from '../../support/random.ts';

const form = { 'content-type': 'application/x-www-form-urlencoded' };
const titleOf = ({ body }: Answer) => /<title>(.*)<\/title>/.exec(body)?.[1];
const headingOf = ({ body }: Answer) => /<h1>(.*?)<\/h1>/.exec(body)?.[1];
const isIn = async (client: TestClient) => (await client.rest('GET', '/auth/status')).body.authenticated;
const signInOnPage = (client: TestClient, fields: Record<string, string> = {}, headers: Record<string, string> = {}) =>
  client.page('/login', { password: PASSWORD, ...fields }, headers);
const endButtons = ({ body }: Answer) =>
  [...body.matchAll(/<button name="end" value="(.*?)"/g)].map(([, value]: string[]) => value);

/** What every page has in common, whatever its status. */
function expectPage(answer: { status: number; headers: Headers; body: string }): void {
  const { headers, body } = answer;
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('referrer-policy')).toBe('same-origin');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
  expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
  expect(headers.get('permissions-policy')).toMatch(/camera=\(\).*publickey-credentials-get=\(self\)/);
  const styles = [...body.matchAll(/<style>(.*?)<\/style>/gs)].map(([, text = '']) => text);
  const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  expect(styles).toHaveLength(1);
  const scripts = [...body.matchAll(/<script[^>]*>(.*?)<\/script>/gs)];
  for (const [tag, text = ''] of scripts) expect(tag).toBe(`<script>${text}</script>`);
  const scriptSources = scripts.map(([, text = '']) => `script-src ${hashOf(text)}; `);
  expect(headers.get('content-security-policy')).toBe(
    `default-src 'none'; ${scriptSources.join('')}style-src ${styles.map(hashOf).join(' ')}; img-src data:; ` +
      "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  );
  expect(body.replace(/<script>.*?<\/script>/gs, '')).not.toMatch(
    /<script|\son\w+=|\sstyle=|javascript:|https?:\/\/(?!www\.w3\.org\/2000\/svg)[^"<]*\.(css|js|png)/,
  );
  expect(body).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
}

describe('/login', () => {
  test('is a form for one password that password managers can fill in, without scripts', async () => {
    await using server = await startServer({ operatorName: 'sam' });
    const answer = await server.client().page('/login');
    expect([answer.status, titleOf(answer)]).toEqual([200, 'Sign in · BackChannel']);
    expectPage(answer);
    const inputs = [...answer.body.matchAll(/<input [^>]*>/g)].map(([tag]) => tag.replace(/\s+/g, ' '));
    expect(inputs).toEqual([
      '<input type="text" id="username" autocomplete="username" value="sam" readonly hidden>',
      expect.stringMatching(/ type="password" .*name="password" autocomplete="current-password" required autofocus/),
      '<input type="checkbox" name="remember" value="yes">',
    ]);
    expect(answer.body).toContain('<label for="password">Password</label>');
    // The browser handles pasting. Nothing here could prevent it.
    expect(answer.body).not.toContain('onpaste');
  });

  test('the right password opens the same session as over the API, and leads to /', async () => {
    await using server = await startServer();
    const client = server.client();
    const answer = await signInOnPage(client);
    expect([answer.status, answer.headers.get('location'), answer.body]).toEqual([303, '/', '']);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const names = answer.headers.getSetCookie().map((line) => line.split('=')[0]);
    expect(names).toEqual(['backchannel_session', 'backchannel_device']);
    const { session } = (await client.rest('GET', '/auth/me')).body;
    expect(session).toMatchObject({ current: true, remembered: false });
    const { events } = (await client.rest('GET', '/auth/events?limit=1')).body;
    expect(events).toMatchObject([{ type: 'login.succeeded', sessionId: session.id }]);
  });

  test('"Keep me signed in on this device" is what the API calls remember', async () => {
    await using server = await startServer();
    const client = server.client();
    await signInOnPage(client, { remember: 'yes' });
    expect((await client.rest('GET', '/auth/me')).body.session.remembered).toBe(true);
    const wrong = await server.client().page('/login', { password: 'no', remember: 'yes' });
    expect(wrong.body).toContain('name="remember" value="yes" checked>');
  });

  test('with COOKIE_DOMAIN, it also sets the pass, and signing out clears both', async () => {
    await using server = await startServer({
      publicUrl: 'https://auth.example.com:0',
      secureCookies: true,
      cookieName: '__Host-backchannel_session',
      cookieDomain: 'example.com',
    });
    const cookies = async (path: string, body: string) => {
      const answer = await sendRaw(server.url, `POST ${path}`, { headers: form, body });
      return (answer.headers['set-cookie'] ?? []).map((line) => line.split('=')[0]);
    };
    const ofSession = ['__Host-backchannel_session', '__Secure-backchannel_pass'];
    const fields = new URLSearchParams({ password: PASSWORD });
    expect(await cookies('/login', String(fields))).toEqual([...ofSession, '__Host-backchannel_device']);
    expect(await cookies('/logout', '')).toEqual(ofSession);
  });

  test('a wrong password is 401 with the form to try again, and is throttled like in the API', async () => {
    await using server = await startServer({ loginMaxFailures: 2 });
    const client = server.client();
    const wrong = await client.page('/login', { password: 'wrong <one>' });
    expect([wrong.status, titleOf(wrong)]).toEqual([401, 'Wrong password – Sign in · BackChannel']);
    expectPage(wrong);
    expect(wrong.body).toMatch(/id="problem"><p role="alert"><strong>Wrong password\.<\/strong>/);
    expect(wrong.body).toMatch(/ id="password" [^>]*aria-describedby="problem" aria-invalid="true">/);
    // The entered password is not sent back.
    expect(wrong.body).not.toContain('one&gt;');
    expect(wrong.headers.getSetCookie()).toEqual([]);

    await client.rest('POST', '/auth/login', { password: 'wrong' });
    const throttled = await signInOnPage(client);
    expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '30']);
    expectPage(throttled);
    expect(throttled.body).toContain('<strong>Too many wrong passwords.</strong> Passwords are not checked until');
    expect(throttled.body).toContain('data-seconds="30">Try again in 30 seconds.</p>');
    // Without script, the form comes back when the wait is over.
    expect(throttled.body).toContain('<noscript><meta http-equiv="refresh" content="30;url=/login"></noscript>');
    const elsewhere = await signInOnPage(client, { next: `${server.url}/docs?a=b` });
    const query = new URLSearchParams({ next: `${server.url}/docs?a=b` });
    expect(elsewhere.body).toContain(`content="30;url=/login?${query}"></noscript>`);
    expect((await client.rest('POST', '/auth/login', { password: PASSWORD })).status).toBe(429);

    server.advance(31_000);
    expect((await signInOnPage(client)).status).toBe(303);
  });

  test('gives a long wait in minutes', async () => {
    await using server = await startServer({ loginMaxFailures: 1 });
    const client = server.client();
    const seconds = async (): Promise<number> => {
      const { headers } = await client.page('/login', { password: 'wrong' });
      return Number(headers.get('retry-after') ?? 0);
    };
    let wait = 0;
    while (wait <= 90) {
      server.advance(wait * 1000);
      wait = await seconds();
    }
    const throttled = await client.page('/login', { password: 'wrong' });
    expect(wait).toBe(120);
    expect(throttled.body).toContain('Try again in 2 minutes.');
  });

  test('too many sign-ins at once get 503 with advice to try again', async () => {
    await using server = await startServer({ ...oneAtATime, loginMaxFailures: 100 });
    const occupied = await occupyPasswordCheck(server);
    const isFull = Promise.withResolvers<void>();
    let count = 0;
    const crowd = Array.from({ length: 20 }, async () => {
      const answer = await server.client().page('/login', { password: 'wrong' });
      if (answer.status === 503 && ++count === 4) isFull.resolve();
      return answer;
    });
    await isFull.promise;
    await occupied.release();
    const answers = await Promise.all(crowd);
    const shed = answers.filter(({ status }) => status === 503);
    expect(shed).toHaveLength(4);
    for (const answer of shed) {
      expectPage(answer);
      const seconds = answer.headers.get('retry-after');
      expect(seconds).toMatch(/^[2-9]$/);
      expect(answer.body).toMatch(/Too many passwords are being checked at once;/);
      expect(answer.body).toContain(`Try again in ${seconds} seconds.`);
    }
  });

  test.each([
    ['nothing', '', 400, 'The password is empty.'],
    ['73 bytes', `password=${'x'.repeat(73)}`, 400, 'The password is 73 bytes long in UTF-8; bcrypt reads at most 72.'],
    ['a NUL', 'password=a%00b', 400, 'NUL'],
    ['invalid UTF-8', 'password=%ff', 400, 'The form is not valid percent-encoded UTF-8.'],
    ['half an escape', 'password=100%', 400, 'The form is not valid percent-encoded UTF-8.'],
    ['the password twice', 'password=a&password=b', 400, 'This field appears more than once.'],
    ['an unknown field', 'password=a&x=1', 400, 'Unknown field.'],
    ['another word to remember', 'password=a&remember=true', 400, 'remember'],
    ['64 KiB and more', `password=${'x'.repeat(70_000)}`, 413, 'The body is larger than 64 KiB.'],
  ] as const)('%s is refused in words', async (_what, body, status, words) => {
    await using server = await startServer();
    const response = await fetch(`${server.url}/login`, { method: 'POST', body, headers: form });
    const text = await response.text();
    expect(response.status).toBe(status);
    expectPage({ status, headers: response.headers, body: text });
    expect(text).toContain(words);
    expect(text).not.toContain('x'.repeat(70));
  });

  test('spaces, plus signs and letters of any script arrive unchanged', async () => {
    const plain = ' pass+wörd & 100% <ключ> ';
    await using server = await startServer({ password: { from: 'MASTER_PASSWORD', plain } });
    expect((await server.client().page('/login', { password: plain })).status).toBe(303);
    expect((await server.client().page('/login', { password: plain.trim() })).status).toBe(401);
  });

  test.each([
    ['application/json', '{"password":"x"}'],
    ['text/plain', 'password=x'],
    ['multipart/form-data; boundary=x', '--x--'],
  ])('accepts a form but not %s', async (type, body) => {
    await using server = await startServer();
    const response = await fetch(`${server.url}/login`, { method: 'POST', body, headers: { 'content-type': type } });
    expect(response.status).toBe(415);
    expect(await response.text()).toContain(
      'Send the form in UTF-8, with Content-Type: application/x-www-form-urlencoded.',
    );
  });

  test('leads on if you are already signed in, and shows a page if there is nowhere to go', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const person = { cookie: client.cookie, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    const answer = await sendRaw(server.url, 'GET /login?next=/docs', { headers: person });
    expect([answer.status, answer.headers.location]).toEqual([303, ['/docs']]);
    const page = await client.page('/login');
    expect([page.status, headingOf(page)]).toEqual([200, 'You are signed in']);
    expectPage(page);
    expect(page.body).toContain('<form method="post" action="/logout">');
    expect(page.body).not.toContain('http-equiv');
    // Opening the page does not count as a use.
    server.advance(59 * 60_000);
    await client.page('/login');
    server.advance(2 * 60_000);
    expect(headingOf(await client.page('/login'))).toBe('Sign in');
  });

  test.each<[string, Record<string, string>]>([
    ['a prefetch', { 'sec-purpose': 'prefetch;prerender' }],
    ['an old prefetch', { purpose: 'prefetch' }],
    ['a frame', { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }],
    ['an image', { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }],
    ['a script', { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }],
  ])('%s is never led on, and gets a link', async (_what, headers) => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    for (let visit = 0; visit < 8; visit += 1) {
      const answer = await sendRaw(server.url, 'GET /login?next=/docs', {
        headers: { ...headers, cookie: client.cookie },
      });
      expect([answer.status, answer.headers.location]).toEqual([200, undefined]);
      expect(answer.text).toContain(`href="${server.url}/docs">Continue to ${new URL(server.url).host}</a>`);
    }
    // They count as no loop either.
    const person = await sendRaw(server.url, 'GET /login?next=/docs', { headers: { cookie: client.cookie } });
    expect(person.status).toBe(303);
  });

  test("signing in again ends the browser's previous session", async () => {
    await using server = await startServer();
    const client = server.client();
    await signInOnPage(client);
    const old = server.client();
    old.cookie = client.cookie;
    await signInOnPage(client);
    expect([await isIn(client), await isIn(old)]).toEqual([true, false]);
  });
});

describe('/login says what became of the session', () => {
  const wordsOf = ({ body }: Answer) => /<div class="note"><p>(.*?)<\/p>/.exec(body)?.[1] ?? null;

  test('if it expired, was ended, or is unknown', async () => {
    await using server = await startServer();
    const [client, other] = [server.client(), server.client()];
    expect(wordsOf(await client.page('/login'))).toBeNull();
    await client.signIn();
    const { cookie } = client;
    server.advance(61 * 60_000);
    expect((await client.page('/')).headers.get('location')).toBe('/login');
    const expired = await client.page('/login');
    expect([wordsOf(expired), headingOf(expired)]).toEqual(['Your session has expired. Sign in again.', 'Sign in']);
    expectPage(expired);

    await client.signIn();
    await other.signIn();
    await client.page('/sessions', { end: 'others' });
    expect(wordsOf(await other.page('/login'))).toBe('Your session was ended. Sign in again.');
    server.advance(61 * 60_000);
    expect(wordsOf(await other.page('/login'))).toBe('Your session was ended. Sign in again.');

    for (const value of ['x', /backchannel_session=([^;]+)/.exec(cookie)?.[1]?.slice(0, -2)]) {
      client.cookie = `backchannel_session=${value}`;
      expect(wordsOf(await client.page('/login'))).toBe('Your session is no longer valid. Sign in again.');
    }
  });

  test('but not after signing out, and not to a token', async () => {
    await using server = await startOwnServer();
    const client = server.client();
    await client.signIn();
    await client.page('/logout', {});
    expect(wordsOf(await client.page('/login'))).toBeNull();
    const { headers } = await makeToken(server, 'full');
    expect(wordsOf(await client.page('/login', undefined, { ...headers, cookie: 'backchannel_session=x' }))).toBeNull();
  });
});

describe('/logout', () => {
  test('says so if you are signed out already', async () => {
    await using server = await startServer();
    const client = server.client();
    for (const cookie of ['', 'backchannel_session=x']) {
      client.cookie = cookie;
      const answer = await client.page('/logout');
      expect([answer.status, headingOf(answer)]).toEqual([200, 'You are signed out']);
      expectPage(answer);
      expect(answer.body).toContain('href="/login">Sign in again</a>');
      expect(answer.body).not.toContain('<form');
    }
  });

  test('shows one button to GET, which ends nothing', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const answer = await client.page('/logout');
    expect([answer.status, headingOf(answer)]).toEqual([200, 'Sign out?']);
    expectPage(answer);
    expect(answer.body.match(/<button/g)).toHaveLength(1);
    expect(await isIn(client)).toBe(true);
  });

  test('ends the session by POST, for every copy of its cookie', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const copy = server.client();
    copy.cookie = client.cookie;
    const answer = await client.page('/logout', {});
    expect([answer.status, headingOf(answer)]).toEqual([200, 'You are signed out']);
    expectPage(answer);
    expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^backchannel_session=; Max-Age=0;/)]);
    expect([await isIn(client), await isIn(copy)]).toEqual([false, false]);
    expect((await client.page('/logout', {})).status).toBe(200);
  });
});

describe('/', () => {
  test('redirects to /login without a session, and lists the sessions with one', async () => {
    await using server = await startServer();
    const [client, other] = [server.client(), server.client()];
    const signedOut = await client.page('/');
    expect([signedOut.status, signedOut.headers.get('location'), signedOut.body]).toEqual([303, '/login', '']);

    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
    await signInOnPage(other, {}, { 'user-agent': firefox });
    server.advance(3 * 3_600_000 - 5 * 60_000);
    await using _stays = server;
    await signInOnPage(client, { remember: 'yes' }, { 'user-agent': '<b>"evil"</b> & \'co\'' });
    const alone = await client.page('/');
    expect([alone.status, headingOf(alone)]).toEqual([200, 'Where you are signed in']);
    expectPage(alone);
    expect(alone.body.match(/<span class="mark">this browser<\/span>/g)).toHaveLength(1);
    expect(alone.body).not.toContain('<b>');
    for (const path of ['/docs', '/redoc', '/openapi.json']) expect(alone.body).toContain(`href="${path}"`);
  });

  test('shows device, address and times of each session', async () => {
    await using server = await startServer({ sessionExpireMinutes: 600 });
    const [client, other] = [server.client(), server.client()];
    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
    await signInOnPage(other, { remember: 'yes' }, { 'user-agent': firefox });
    server.advance(3 * 3_600_000);
    await other.rest('GET', '/auth/me');
    server.advance(5 * 60_000);
    await signInOnPage(client);
    const { body } = await client.page('/');
    const text = body.replace(/<[^>]+>/g, '').replace(/\s+/g, ' ');
    expect(text).toContain(
      'Firefox on Linux 127.0.0.1 Signed in 3 hours ago and kept signed in; last used 5 minutes ago; ' +
        'expires in 29 days unless it is used End',
    );
    expect(text).toContain('this browser 127.0.0.1 Signed in just now; last used just now; expires in 9 hours');
    // The current device comes first, whenever it signed in.
    const names = [...(await other.page('/')).body.matchAll(/<strong>(.*?)<\/strong>/g)].map(([, name]) => name);
    expect(names).toEqual(['Firefox on Linux', 'node']);
  });

  test('ends one session or all others by its buttons, and keeps its own', async () => {
    await using server = await startServer();
    const [client, second, third] = [server.client(), server.client(), server.client()];
    for (const each of [second, third, client]) {
      await each.signIn();
      server.advance(1000);
    }
    const [thirdId, secondId, all, ...rest] = endButtons(await client.page('/'));
    expect([all, rest]).toEqual(['others', []]);

    const ended = await client.page('/sessions', { end: thirdId ?? '' });
    expect([ended.status, ended.headers.get('location')]).toEqual([303, '/?ended=1']);
    expect((await client.page('/?ended=1')).body).toContain('role="status"><p>Session ended.</p>');
    expect((await client.page('/?ended=3')).body).toContain('role="status"><p>3 sessions ended.</p>');
    // A link from elsewhere confirms nothing.
    for (const site of ['cross-site', 'same-site', 'none']) {
      expect((await client.page('/?ended=3', undefined, { 'sec-fetch-site': site })).body).not.toContain('ended.');
    }
    for (const junk of ['x', '-1', '1.5', '99999', '1&ended=2']) {
      expect((await client.page(`/?ended=${junk}`)).body).not.toContain('role="status"');
    }
    expect(await Promise.all([client, second, third].map(isIn))).toEqual([true, true, false]);
    expect(endButtons(await client.page('/'))).toEqual([secondId, 'others']);
    // Ending it twice is fine.
    expect((await client.page('/sessions', { end: thirdId ?? '' })).status).toBe(303);
    expect((await client.page('/sessions', { end: '__proto__' })).status).toBe(303);

    await third.signIn();
    expect((await client.page('/sessions', { end: 'others' })).status).toBe(303);
    expect(await Promise.all([client, second, third].map(isIn))).toEqual([true, false, false]);
    expect(endButtons(await client.page('/'))).toEqual([]);
    const { events } = (await client.rest('GET', '/auth/events?type=session.revoked')).body;
    expect(events).toHaveLength(3);
  });

  test('also ends the own session if the form has its id', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const { session } = (await client.rest('GET', '/auth/me')).body;
    const answer = await client.page('/sessions', { end: session.id });
    expect(answer.headers.getSetCookie()).toEqual([expect.stringMatching(/^backchannel_session=; Max-Age=0;/)]);
    expect((await client.page('/')).headers.get('location')).toBe('/login');
  });

  test('ends nothing without a session, with GET, or without an id', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const { session } = (await client.rest('GET', '/auth/me')).body;
    const signedOut = await server.client().page('/sessions', { end: session.id });
    expect([signedOut.status, signedOut.headers.get('location')]).toEqual([303, '/login']);
    expect((await client.page(`/sessions?end=${session.id}`)).headers.get('location')).toBe('/');
    expect((await client.page('/sessions', {})).status).toBe(400);
    expect((await client.page('/sessions', { end: session.id, x: '1' })).status).toBe(400);
    expect(await isIn(client)).toBe(true);
  });

  test('is only for sessions, not for tokens', async () => {
    await using server = await startOwnServer();
    for (const scope of ['read', 'full', 'proxy'] as const) {
      const { headers } = await makeToken(server, scope);
      const client = server.client();
      expect((await client.page('/', undefined, headers)).headers.get('location')).toBe('/login');
      expect((await client.page('/sessions', { end: 'others' }, headers)).headers.get('location')).toBe('/login');
      expect(headingOf(await client.page('/login', undefined, headers))).toBe('Sign in');
    }
  });

  test('has no links to the docs if they are off', async () => {
    await using server = await startServer({ docs: 'off' });
    const client = server.client();
    await client.signIn();
    expect((await client.page('/')).body).not.toContain('/docs');
  });
});

describe('a page of another origin', () => {
  const foreign: [string, Record<string, string>][] = [
    ['of another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    ['of another port', { 'sec-fetch-site': 'same-site', origin: 'http://localhost:3000' }],
    ['without an origin', { 'sec-fetch-site': 'cross-site', origin: 'null' }],
  ];
  test.each(foreign)('%s can neither sign in or out nor end sessions', async (_of, headers) => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const before = client.cookie;
    for (const [path, fields] of [
      ['/login', { password: PASSWORD }],
      ['/logout', {}],
      ['/sessions', { end: 'others' }],
    ] as const) {
      const answer = await client.page(path, fields, headers);
      expect([path, answer.status, answer.headers.getSetCookie()]).toEqual([path, 403, []]);
      expectPage(answer);
      expect(answer.body).toContain('Pages of another origin');
    }
    expect(client.cookie).toBe(before);
    expect(await isIn(client)).toBe(true);
    const { events } = (await client.rest('GET', '/auth/events')).body;
    expect(events.map(({ type }: { type: string }) => type)).toEqual(['login.succeeded', 'server.started']);
  });
});

describe('every page', () => {
  const paths = ['/', '/login', '/logout', '/sessions'];

  test('may not be framed, and lists its methods for other methods', async () => {
    await using server = await startServer();
    for (const path of paths) {
      const { headers } = await sendRaw(server.url, `GET ${path}`);
      expect(headers).toMatchObject({ 'x-frame-options': ['DENY'], 'cache-control': ['no-store'] });
      expect(headers['content-security-policy']?.[0]).toContain("frame-ancestors 'none'");
      const allow = path === '/' ? 'GET, HEAD, OPTIONS' : 'GET, POST, HEAD, OPTIONS';
      const put = await sendRaw(server.url, `PUT ${path}`);
      expect([path, put.status, put.headers.allow]).toEqual([path, 405, [allow]]);
      const options = await sendRaw(server.url, `OPTIONS ${path}`);
      expect([options.status, options.headers.allow, options.text]).toEqual([204, [allow], '']);
      const head = await sendRaw(server.url, `HEAD ${path}`);
      const get = await sendRaw(server.url, `GET ${path}`);
      expect([head.status, head.text]).toEqual([get.status, '']);
      expect(head.headers['content-type']).toEqual(get.headers['content-type']);
      for (const near of [`${path}/x`, `${path.toUpperCase()}/`, `/.${path}`]) {
        expect((await sendRaw(server.url, `GET ${near}`)).status).toBe(404);
      }
    }
  });

  test('that does not exist is a page for people, and JSON for programs', async () => {
    await using server = await startServer();
    for (const path of ['/admin', '/login/', '/docs/x', '/api', '/<b>', '/%ff%zz']) {
      const page = await sendRaw(server.url, `GET ${path}`, { headers: { accept: 'text/html' } });
      expect([path, page.status, page.headers['content-type']]).toEqual([path, 404, ['text/html; charset=utf-8']]);
      expect(page.headers['cache-control']).toEqual(['no-store']);
      expect(page.text).toContain('<h1>Page not found</h1>');
      expect(page.text).toContain('<a href="/">');
      expect(page.text).not.toContain('<b>');
      const answer = await sendRaw(server.url, `GET ${path}`);
      expect([answer.status, answer.json]).toEqual([
        404,
        { code: 'NOT_FOUND', message: `There is nothing at ${path}.` },
      ]);
    }
    for (const target of ['POST /admin', 'GET /api/v1/nothing', 'GET /trpc/nothing']) {
      const answer = await sendRaw(server.url, target, { headers: { accept: 'text/html' } });
      expect([answer.status, answer.headers['content-type']]).toEqual([404, ['application/json; charset=utf-8']]);
    }
  });

  test('says that the database is unavailable, and signing out still clears the cookie', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const { cookie } = client;
    server.advance(1000);
    const torn = await tearTable(server, 'sessions');
    for (const [path, fields] of [
      ['/', undefined],
      ['/login', undefined],
      ['/login', { password: PASSWORD }],
      ['/sessions', { end: 'others' }],
      ['/logout', {}],
    ] as const) {
      const answer = await client.page(path, fields);
      expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '2']);
      expectPage(answer);
      expect(answer.body).toContain('The database is unavailable; try again shortly.');
      expect(answer.body).not.toMatch(/sqlite|malformed|\n\s+at /i);
      const cleared = path === '/logout' ? [expect.stringMatching(/^backchannel_session=; Max-Age=0;/)] : [];
      expect(answer.headers.getSetCookie()).toEqual(cleared);
      if (path === '/logout') expect(headingOf(answer)).toBe('Signed out in this browser only');
    }
    // The sign-in form and the sign-out button still work.
    expect((await client.page('/login')).status).toBe(200);
    expect((await client.page('/logout')).status).toBe(200);
    await torn.mend();
    client.cookie = cookie;
    expect((await client.page('/')).status).toBe(200);
  });

  test('shows no details of an unexpected failure', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    server.advance(1000);
    await using db = await openElsewhere(server);
    await db.run('alter table backchannel_sessions rename to elsewhere');
    for (const answer of [await client.page('/'), await client.page('/login', { password: PASSWORD })]) {
      expect([answer.status, headingOf(answer)]).toEqual([500, 'Something went wrong']);
      expectPage(answer);
      expect(answer.body).toContain('Something went wrong on the server; see its log.');
      expect(answer.body).toContain(`The request id is <code>${answer.headers.get('x-request-id')}</code>`);
      expect(answer.body).not.toMatch(/no such|sqlite|elsewhere|\n\s+at /i);
    }
  });

  test('responds to any input with a page, and keeps working', async () => {
    await using server = await startServer();
    const client = server.client();
    const { below, pick, text } = createRandom(4711);
    const junk = () =>
      pick('password', 'next', 'remember', 'end', '=', '&', '%', '%00', '+', '\u0000', '"><b>', 'é', '\n', 'x');
    for (let run = 0; run < 150; run += 1) {
      if (run % 30 === 0) await server.services.throttle.clear();
      if (run % 50 === 25) await client.signIn();
      const body = below(5) === 0 ? Buffer.from(Array.from({ length: 40 }, () => below(256))) : text(12, junk);
      const query = text(8, junk).replace(/[^\x21-\x7e]/g, '');
      const line = `${pick('GET', 'POST', 'POST', 'HEAD', 'DELETE')} ${pick(...paths)}${pick('', `?${query}`)}`;
      const cookie = pick('', client.cookie);
      const answer = await sendRaw(server.url, line, { headers: { ...form, cookie }, body });
      const seen = `${answer.status} to ${line} ${String(body)}`;
      expect([200, 303, 400, 401, 405, 429], seen).toContain(answer.status);
      if (answer.status === 303) expect(answer.headers.location?.[0], seen).toMatch(/^\/(login|\?ended=\d)?$/);
      else expect(answer.headers['content-type'], seen).toEqual(['text/html; charset=utf-8']);
      expect(answer.text).not.toContain('<b>');
    }
    expect((await client.page('/login')).status).toBe(200);
  });

  test('escapes everything from a request', async () => {
    await using server = await startServer();
    const evil = '"><script>alert(1)</script>\'`{{7*7}}';
    const client = server.client();
    for (const signedIn of [false, true]) {
      if (signedIn) await client.signIn();
      for (const name of ['next', 'reason', evil]) {
        const { body } = await client.page(`/login?${new URLSearchParams({ [name]: evil })}`);
        expect(body).not.toMatch(/<script>alert|\{\{/);
      }
      const { body } = await client.page('/login', { password: 'x', next: evil, [evil]: evil });
      expect(body).not.toContain('<script>alert');
      const host = await sendRaw(server.url, 'GET /login', { headers: { host: 'a"><script>x' } });
      expect(host.text).not.toContain('<script>x');
    }
  });
});
