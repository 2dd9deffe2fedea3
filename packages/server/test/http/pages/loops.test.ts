// An application that keeps sending a signed-in browser back is a loop. Many tabs at once are none.
// Runs on one engine: loops are kept in memory.
import { describe, expect, test } from 'vitest';
import { PASSWORD, type RawAnswer, sendRaw, startServer, type TestServer } from '../../support/harness.ts';

const form = { 'content-type': 'application/x-www-form-urlencoded' };
const domain = {
  publicUrl: 'https://auth.example.com:0',
  secureCookies: true,
  cookieName: '__Host-backchannel_session',
  cookieDomain: 'example.com',
  trustedProxies: ['127.0.0.1'],
};
const person = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html' };

/** A browser that is signed in, and the proxy in front of photos.example.com. */
async function openBrowser(server: TestServer) {
  const body = String(new URLSearchParams({ password: PASSWORD }));
  const { headers } = await sendRaw(server.url, 'POST /login', { headers: form, body });
  const cookie = (headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');
  const host = 'photos.example.com';
  return {
    visit: (next = `https://${host}/`, cookies = cookie) =>
      sendRaw(server.url, `GET /login?${new URLSearchParams({ next })}`, { headers: { ...person, cookie: cookies } }),
    ask: async (cookies: string, at = host) => {
      const reported = { 'x-forwarded-proto': 'https', 'x-forwarded-host': at, 'x-forwarded-uri': '/' };
      const headers = { ...person, ...reported, 'x-forwarded-method': 'GET', cookie: cookies };
      return (await sendRaw(server.url, 'GET /api/v1/auth/verify', { headers })).status;
    },
    cookie,
    session: /__Host-backchannel_session=[^;]+/.exec(cookie)?.[0] ?? '',
    pass: /__Secure-[^;]+/.exec(cookie)?.[0] ?? '',
  };
}

const isLoop = ({ status, text }: RawAnswer): boolean => {
  expect([200, 303]).toContain(status);
  if (status === 200) expect(text).toContain('Continue to photos.example.com');
  return status === 200 && text.includes('keep sending you back here?');
};

describe('a loop:', () => {
  test('the third return within 20 seconds gets the page with the reasons', async () => {
    await using server = await startServer(domain);
    const { visit, ask } = await openBrowser(server);
    const rounds = async (count: number) => {
      const found: boolean[] = [];
      for (let round = 0; round < count; round += 1) {
        expect(await ask('')).toBe(401);
        found.push(isLoop(await visit()));
        server.advance(1000);
      }
      return found;
    };
    expect(await rounds(5)).toEqual([false, false, true, true, true]);
    // A person who tries again later is led on.
    server.advance(20_000);
    expect(await rounds(3)).toEqual([false, false, true]);
    server.advance(20_000);
    for (let round = 0; round < 5; round += 1) {
      expect(await rounds(1)).toEqual([false]);
      server.advance(10_000);
    }
  });

  test('the page says whether the browser stores the pass, or what may be wrong with the proxy', async () => {
    await using server = await startServer(domain);
    const { visit, ask, session } = await openBrowser(server);
    const last = async (cookies?: string) => {
      let answer = await visit(undefined, cookies);
      for (let round = 0; round < 2; round += 1) {
        await ask('');
        answer = await visit(undefined, cookies);
      }
      return answer.text.replace(/\s+/g, ' ');
    };
    expect(await last()).toContain('header on to <code>/api/v1/auth/verify</code>');
    server.advance(20_000);
    expect(await last(session)).toContain('This browser does not store the cookie for example.com.');
  });

  test('is found even if the proxy asks another server, before the browser gives up after 20 redirects', async () => {
    await using server = await startServer(domain);
    const { visit } = await openBrowser(server);
    const found: boolean[] = [];
    for (let round = 0; round < 8; round += 1) found.push(isLoop(await visit()));
    expect(found.indexOf(true)).toBe(5);
  });
});

describe('no loop:', () => {
  test('any number of tabs that waited at sign-in, whatever they show', async () => {
    await using server = await startServer(domain);
    const { visit, ask } = await openBrowser(server);
    // They were refused before anyone signed in.
    for (let tab = 0; tab < 30; tab += 1) expect(await ask('')).toBe(401);
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, tab) => visit(`https://photos.example.com/album/${tab}`)),
    );
    expect(answers.map(isLoop)).not.toContain(true);
  });

  test('a host that lets the session in, however often it is visited', async () => {
    await using server = await startServer(domain);
    const { visit, ask, pass } = await openBrowser(server);
    for (let tab = 0; tab < 8; tab += 1) {
      // Another tab was refused meanwhile.
      await ask('');
      expect(isLoop(await visit())).toBe(false);
      expect(await ask(pass)).toBe(204);
    }
  });

  test('refusals at another host', async () => {
    await using server = await startServer(domain);
    const { visit, ask } = await openBrowser(server);
    for (let tab = 0; tab < 5; tab += 1) {
      await ask('', 'wiki.example.com');
      expect(isLoop(await visit(`https://photos.example.com/${tab}`))).toBe(false);
    }
  });
});
