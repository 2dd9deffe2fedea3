// The cookie by which a browser that has signed in before is known: who has one, and how it is lost.
import { describe, expect, test } from 'vitest';
import { createKeyRing } from '../../src/services/keys.ts';
import { cookieValue } from '../support/cookies.ts';
import { PASSWORD, sendRaw, startServer, type TestClient, type TestServer } from '../support/harness.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const WRONG = 'not the password';

function browserOf(server: TestServer, cookie: string): TestClient {
  const client = server.client();
  client.cookie = cookie;
  return client;
}
/** A browser with this for a device cookie and nothing else. */
const browserWith = (server: TestServer, token: string) => browserOf(server, `backchannel_device=${token}`);
const deviceOf = (client: TestClient) => cookieValue(client.cookie, 'backchannel_device');

const secretIn = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;

async function signedIn(server: TestServer): Promise<{ client: TestClient; id: string }> {
  const client = server.client();
  expect((await client.signIn()).status).toBe(200);
  return { client, id: (await client.rest('GET', '/auth/me')).body.session.id };
}

/** Whether a browser with this device cookie may try where every stranger has to wait. */
const isKnown = (server: TestServer, token: string) => isKnownBy(server, `backchannel_device=${token}`);

async function isKnownBy(server: TestServer, cookie: string): Promise<boolean> {
  const fail = (client: TestClient) => client.rest('POST', '/auth/login', { password: WRONG });
  while ((await fail(server.client())).status !== 429);
  const { status } = await fail(browserOf(server, cookie));
  await server.services.throttle.clear();
  expect([401, 429]).toContain(status);
  return status === 401;
}

describe('a browser that has signed in', () => {
  test.each([
    ['http', { publicUrl: 'http://localhost:0' }, { name: 'backchannel_device', secure: '' }],
    [
      'https',
      { publicUrl: 'https://localhost:0', secureCookies: true },
      { name: '__Host-backchannel_device', secure: ' Secure;' },
    ],
  ] as const)(
    'is known by a cookie for this host alone that no script can read, over %s',
    async (_scheme, config, { name, secure }) => {
      await using server = await startServer(config);
      for (const path of ['/api/v1/auth/login', '/trpc/auth.login']) {
        const headers = { 'content-type': 'application/json' };
        const answer = await sendRaw(server.url, `POST ${path}`, {
          headers,
          body: JSON.stringify({ password: PASSWORD }),
        });
        const lines = answer.headers['set-cookie']?.filter((line) => line.startsWith(`${name}=`));
        // 400 days, less the moment that it took.
        const expected = `^${name}=[\\w-]+\\.[\\w-]+\\.[\\w-]+; Max-Age=(34560000|34559999); Path=/; HttpOnly;${secure} SameSite=Lax$`;
        expect(lines).toEqual([expect.stringMatching(expected)]);
        expect(answer.text).not.toContain('eyJ');
      }
    },
  );

  test('stays known when it signs out, and over a restart', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    const token = deviceOf(client);
    const logout = await client.rest('POST', '/auth/logout');
    expect(logout.headers.getSetCookie().join()).not.toContain('backchannel_device');
    expect(deviceOf(client)).toBe(token);
    await server.restart();
    expect(await isKnown(server, token)).toBe(true);
  });

  test('is one device however often it signs in, and two browsers are two', async () => {
    await using server = await startServer();
    const [one, two] = [await signedIn(server), await signedIn(server)];
    const secret = secretIn(deviceOf(one.client));
    await one.client.signIn();
    await one.client.rest('POST', '/auth/logout');
    await one.client.signIn();
    expect(secretIn(deviceOf(one.client))).toBe(secret);
    expect(secretIn(deviceOf(two.client))).not.toBe(secret);
  });

  test('is not known by a password that was wrong', async () => {
    await using server = await startServer();
    const answer = await server.client().rest('POST', '/auth/login', { password: WRONG });
    expect(answer.headers.getSetCookie()).toEqual([]);
  });

  test('opens nothing by that', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    const token = deviceOf(client);
    const device = browserWith(server, token);
    expect((await device.rest('GET', '/auth/me')).status).toBe(401);
    device.cookie = `backchannel_session=${token}`;
    expect((await device.rest('GET', '/auth/me')).status).toBe(401);
    expect((await device.rest('GET', '/auth/status')).body.authenticated).toBe(false);
  });
});

describe('a browser is forgotten', () => {
  const endings: [string, (owner: TestClient, id: string, server: TestServer) => Promise<number>][] = [
    ['by its id', async (owner, id) => (await owner.rest('DELETE', `/auth/sessions/${id}`)).status],
    ['with all others', async (owner) => (await owner.rest('DELETE', '/auth/sessions')).status],
    [
      'by a change of the password',
      async (owner) => (await owner.rest('POST', '/auth/password', { current: 'admin123', new: PASSWORD })).status,
    ],
    [
      'by `password set`',
      async (_owner, _id, server) => {
        const set = await server.services.passwordChange.set({ next: PASSWORD, revokeTokens: false });
        return set.outcome === 'changed' ? 200 : 0;
      },
    ],
  ];

  test.each(endings)('when its session is revoked %s', async (_how, end) => {
    await using server = await startServer({ password: { from: 'database', builtInAllowed: true } });
    const signIn = async () => {
      const client = server.client();
      await client.rest('POST', '/auth/login', { password: 'admin123' });
      return { client, id: (await client.rest('GET', '/auth/me')).body.session.id };
    };
    const [owner, lost] = [await signIn(), await signIn()];
    expect(await isKnown(server, deviceOf(lost.client))).toBe(true);
    expect(await end(owner.client, lost.id, server)).toBe(200);
    expect(await isKnown(server, deviceOf(lost.client))).toBe(false);
  });

  test('when its own session revokes itself, but not when others are revoked', async () => {
    await using server = await startServer();
    const { client, id } = await signedIn(server);
    await client.rest('DELETE', '/auth/sessions');
    expect(await isKnown(server, deviceOf(client))).toBe(true);
    await client.rest('DELETE', `/auth/sessions/${id}`);
    expect(await isKnown(server, deviceOf(client))).toBe(false);
    expect((await client.signIn()).status).toBe(200);
    expect(await isKnown(server, deviceOf(client))).toBe(true);
  });

  test('but not when others are revoked after its own session has expired', async () => {
    await using server = await startServer();
    const away = await signedIn(server);
    server.advance(2 * 60 * MINUTE_MS);
    const { client } = await signedIn(server);
    await client.rest('DELETE', '/auth/sessions');
    expect(await isKnown(server, deviceOf(away.client))).toBe(true);
  });

  test('when the environment sets another password', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    await server.restart({ password: { from: 'MASTER_PASSWORD', plain: 'another password' } });
    expect(await isKnown(server, deviceOf(client))).toBe(false);
  });

  test('400 days after it last signed in', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    server.advance(399 * DAY_MS);
    expect(await isKnown(server, deviceOf(client))).toBe(true);
    await client.signIn();
    const renewed = deviceOf(client);
    server.advance(399 * DAY_MS);
    await server.services.cleanup.run();
    expect(await isKnown(server, renewed)).toBe(true);
    server.advance(2 * DAY_MS);
    expect(await isKnown(server, renewed)).toBe(false);
    await server.services.cleanup.run();
    expect(await server.services.devices.deleteStale(10)).toBe(0);
  });
});

describe("nobody's device cookie", () => {
  const key = 'k'.repeat(32);
  const ring = (secretKey: string) => createKeyRing([secretKey], Date.now);
  const inAnHour = () => Date.now() + 3_600_000;

  test.each<[string, (client: TestClient) => string | Promise<string>]>([
    [
      'one that was signed by another key',
      (client) => ring('x'.repeat(32)).sign('device', secretIn(deviceOf(client)), inAnHour()),
    ],
    ['one around a secret that was never given out', () => ring(key).sign('device', 'x'.repeat(43), inAnHour())],
    ['one that has expired', (client) => ring(key).sign('device', secretIn(deviceOf(client)), Date.now() - 1000)],
    ['one whose end was changed', (client) => `${deviceOf(client).slice(0, -2)}xx`],
    ['a session token', (client) => cookieValue(client.cookie, 'backchannel_session')],
    [
      "a session token around a device's secret",
      (client) => ring(key).sign('session', secretIn(deviceOf(client)), inAnHour()),
    ],
    [
      "a device token around a session's secret",
      (client) => ring(key).sign('device', secretIn(cookieValue(client.cookie, 'backchannel_session')), inAnHour()),
    ],
    ['the secret itself', (client) => secretIn(deviceOf(client))],
    ['garbage', () => 'garbage'],
    ['a large one', () => 'x'.repeat(2000)],
  ])('%s', async (_name, make) => {
    await using server = await startServer({ secretKeys: [key] });
    const { client } = await signedIn(server);
    expect(await isKnown(server, await make(client))).toBe(false);
    expect(await isKnown(server, deviceOf(client))).toBe(true);
    const session = server.client();
    session.cookie = `backchannel_session=${await make(client)}`;
    const isSession = (await session.rest('GET', '/auth/me')).status === 200;
    expect(isSession).toBe(_name === 'a session token');
  });

  test("another server's", async () => {
    await using server = await startServer();
    await using foreign = await startServer();
    const { client } = await signedIn(foreign);
    expect(await isKnown(server, deviceOf(client))).toBe(false);
  });

  test('a forged one beside the real one hides it not', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    expect(await isKnown(server, `garbage; backchannel_device=${deviceOf(client)}`)).toBe(true);
  });

  describe('over https', () => {
    /** A server whose cookies are Secure, and the device cookie that it sets. */
    async function secured() {
      const server = await startServer({ secureCookies: true });
      const { client } = await signedIn(server);
      return { server, device: cookieValue(client.cookie, '__Host-backchannel_device') };
    }

    test('any number that a parent domain sets without the prefix hide none that has it', async () => {
      const { server, device } = await secured();
      await using _ = server;
      const shadows = Array.from({ length: 4 }, (_, index) => `backchannel_device=forged${index}`).join('; ');
      expect(await isKnownBy(server, `${shadows}; __Host-backchannel_device=${device}`)).toBe(true);
      expect(await isKnownBy(server, `__Host-backchannel_device=${device}; ${shadows}`)).toBe(true);
    });

    test('one without the prefix is read, and replaced by one that has it', async () => {
      const { server, device } = await secured();
      await using _ = server;
      for (const password of [WRONG, PASSWORD]) {
        const browser = browserWith(server, device);
        const answer = await browser.rest('POST', '/auth/login', { password });
        const lines = answer.headers.getSetCookie().filter((line) => line.includes('backchannel_device='));
        expect(lines.map((line) => line.replace(/=[^;]*/, '')).sort()).toEqual([
          expect.stringMatching(
            /^__Host-backchannel_device; Max-Age=3455999\d|34560000; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
          ),
          'backchannel_device; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
        ]);
        expect(await isKnownBy(server, browser.cookie)).toBe(true);
      }
    });
  });

  test('a request that a token decides has none', async () => {
    await using server = await startServer();
    const { client } = await signedIn(server);
    const { body } = await client.rest('POST', '/auth/tokens', { name: 'x', scope: 'full' });
    const device = deviceOf(client);
    for (const expected of [401, 401, 401, 401, 401, 429]) {
      const bearer = { authorization: `Bearer ${body.secret}` };
      const tried = await browserWith(server, device).rest('POST', '/auth/login', { password: WRONG }, bearer);
      expect(tried.status).toBe(expected);
    }
    expect((await server.client().signIn()).status).toBe(429);
    expect((await browserWith(server, device).signIn()).status).toBe(200);
  });
});
