// A copy of a session's cookies, made before the session gets a new secret: it must neither outlive that nor benefit from it.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cookieValue } from '../../support/cookies.ts';
import { type Face, startServer, type TestClient, type TestServer } from '../../support/harness.ts';
import { holdNext } from '../../support/hold.ts';

const OLD = 'admin123';
const NEW = 'a new and longer password';
const HOST = 'app.example.com';
const LONGER_THAN_STEP_UP_MS = 16 * 60_000;

/** With a domain for applications, so that sessions have a pass as well. */
const overrides: Parameters<typeof startServer>[0] = {
  password: { from: 'database', builtInAllowed: true },
  cookieDomain: 'example.com',
  trustedProxies: ['127.0.0.1'],
};

const copyOf = ({ cookie }: TestClient, server: TestServer): TestClient => {
  const copy = server.client();
  copy.cookie = cookie;
  return copy;
};

async function signedIn(server: TestServer): Promise<TestClient> {
  const client = server.client();
  expect((await client.rest('POST', '/auth/login', { password: OLD })).status).toBe(200);
  return client;
}

const call = (client: TestClient, face: Face, operation: { path: string; name: string; input: object }) =>
  face === 'REST'
    ? client.rest('POST', operation.path, operation.input)
    : client.trpc('mutation', operation.name, operation.input);

const stepUp = { what: 'a step-up', path: '/auth/step-up', name: 'auth.stepUp', input: { password: OLD } };
const passwordChange = {
  what: 'a change of the password',
  path: '/auth/password',
  name: 'auth.changePassword',
  input: { current: OLD, new: NEW },
};
const operations = [stepUp, passwordChange];
const cases = operations.flatMap((operation) => (['REST', 'tRPC'] as const).map((face) => ({ ...operation, face })));

/** What a copy may still do: the API with the session cookie, and an application with the pass alone. */
async function doors(copy: TestClient): Promise<number[]> {
  const pass = `__Secure-backchannel_pass=${cookieValue(copy.cookie, '__Secure-backchannel_pass')}`;
  const asked = { 'x-forwarded-host': HOST, 'x-forwarded-proto': 'https', 'x-forwarded-uri': '/' };
  const me = await copy.rest('GET', '/auth/me');
  const verify = await copy.rest('GET', '/auth/verify', undefined, { ...asked, cookie: pass });
  return [me.status, verify.status];
}

const createToken = (client: TestClient) => client.rest('POST', '/auth/tokens', { name: 'x', scope: 'full' });

describe.each(cases)('$what over $face', ({ face, ...operation }) => {
  test('sets new cookies, and a copy of the old ones and its pass end with the response', async () => {
    await using server = await startServer(overrides);
    const owner = await signedIn(server);
    const copy = copyOf(owner, server);
    expect(await doors(copy)).toEqual([200, 204]);
    const { id } = (await owner.rest('GET', '/auth/me')).body.session;
    server.advance(LONGER_THAN_STEP_UP_MS);

    const answer = await call(owner, face, operation);
    expect(answer.status).toBe(200);
    const names = answer.headers.getSetCookie().map((line) => line.slice(0, line.indexOf('=')));
    expect(names).toEqual(['backchannel_session', '__Secure-backchannel_pass']);

    expect(await doors(copy)).toEqual([401, 401]);
    expect(await doors(owner)).toEqual([200, 204]);
    expect((await owner.rest('GET', '/auth/me')).body.session.id).toBe(id);
    server.advance(5000);
    expect(await doors(copy)).toEqual([401, 401]);
    expect(await doors(owner)).toEqual([200, 204]);
    await server.restart();
    expect([await doors(copy), await doors(owner)]).toEqual([
      [401, 401],
      [200, 204],
    ]);
  });

  test('leaves the cookies of a browser as they are when its old one is refused', async () => {
    await using server = await startServer(overrides);
    const owner = await signedIn(server);
    const late = copyOf(owner, server);
    await call(owner, face, operation);
    for (const path of ['/auth/me', '/auth/sessions', '/auth/verify']) {
      const answer = await late.rest('GET', path);
      expect(answer.status, path).toBe(401);
      expect(answer.headers.getSetCookie(), path).toEqual([]);
    }
    expect((await late.page('/login')).headers.getSetCookie()).toEqual([]);
  });

  test('ends a copy on another instance within one second', async () => {
    await using one = await startServer(overrides, { dataDir: mkdtempSync(join(tmpdir(), 'backchannel-copied-')) });
    const { password, secretKeys } = one.config;
    await using two = await startServer({ ...overrides, password, secretKeys }, { dataDir: one.config.dataDir });
    const owner = await signedIn(one);
    const copy = copyOf(owner, two);
    expect(await doors(copy)).toEqual([200, 204]);
    expect((await call(owner, face, operation)).status).toBe(200);
    expect(await doors(copyOf(owner, two))).toEqual([200, 204]);
    two.advance(1000);
    expect(await doors(copy)).toEqual([401, 401]);
  });

  test('goes to one of two requests that are made at once, and the other is signed out', async () => {
    await using server = await startServer(overrides);
    const owner = await signedIn(server);
    const rivals = [copyOf(owner, server), copyOf(owner, server)];
    const answers = await Promise.all(rivals.map((rival) => call(rival, face, operation)));
    const statuses = answers.map(({ status }) => status);
    // The loser of two password changes has, by then, also shown a wrong password.
    expect(statuses.sort()).toEqual([200, operation.path === passwordChange.path ? expect.toSatisfy(isRefusal) : 401]);
    const live = await Promise.all(rivals.map(async (rival) => (await rival.rest('GET', '/auth/me')).status));
    expect(live.sort()).toEqual([200, 401]);
  });
});

const isRefusal = (status: number) => status === 401 || status === 403;

describe('a copy of a session that is stepped up', () => {
  test('creates no token, on the same instance or on one that still knows its cookie', async () => {
    await using one = await startServer(overrides, { dataDir: mkdtempSync(join(tmpdir(), 'backchannel-copied-')) });
    const { password, secretKeys } = one.config;
    await using two = await startServer({ ...overrides, password, secretKeys }, { dataDir: one.config.dataDir });
    const owner = await signedIn(one);
    for (const server of [one, two]) server.advance(LONGER_THAN_STEP_UP_MS);
    const copies = [copyOf(owner, one), copyOf(owner, two)];
    for (const copy of copies) expect((await createToken(copy)).body.code).toBe('STEP_UP_REQUIRED');
    expect((await call(owner, 'REST', stepUp)).status).toBe(200);
    for (const copy of copies) expect((await createToken(copy)).status).toBe(401);
    expect((await createToken(owner)).status).toBe(200);
    expect((await owner.rest('GET', '/auth/tokens')).body.tokens).toHaveLength(1);
  });

  test('creates no token when the step-up comes between its check and its write', async () => {
    await using server = await startServer(overrides);
    const owner = await signedIn(server);
    const freshness = holdNext(server.services.sessions, 'freshness');
    const creating = createToken(copyOf(owner, server));
    await freshness.reached;
    expect((await call(owner, 'REST', stepUp)).status).toBe(200);
    freshness.release();
    expect((await creating).status).toBe(401);
    expect((await owner.rest('GET', '/auth/tokens')).body.tokens).toEqual([]);
  });
});
