import { connect } from 'node:net';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { lockWrites, openElsewhere, tearTable } from '../support/elsewhere.ts';
import {
  type Answer,
  type Face,
  operations,
  PASSWORD,
  type RawAnswer,
  readError,
  sendBytes,
  sendRaw,
  startServer,
  targetOf,
} from '../support/harness.ts';

const faces: Face[] = ['REST', 'tRPC'];
const everyOperation = faces.flatMap((face) => operations.map((operation) => ({ face, operation, ...operation })));
const json = { 'content-type': 'application/json' };

// High, because the throttle is not tested here.
const server = await startServer({ loginMaxFailures: 1000 });
const operator = server.client();
await operator.signIn();
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => {
  vi.unstubAllEnvs();
});

const send = (line: string, options?: Parameters<typeof sendRaw>[2]) => sendRaw(server.url, line, options);
const codeOf = (face: Face, answer: RawAnswer) => readError(face, answer.status, answer.json).code;
const codeIn = (face: Face, answer: Answer) => readError(face, answer.status, answer.body).code;
/** The values of a list in a header, sorted. */
const listed = (header: string | undefined) => header?.split(', ').sort();
const sessionCookies = (lines: string[] = []) => lines.filter((line) => line.startsWith('backchannel_session='));

describe('methods', () => {
  const byPath = Map.groupBy(operations, ({ path }) => path);

  test.each([...byPath])('%s refuses every other method with 405 and lists the allowed ones', async (path, there) => {
    const methods = there.map(({ method }): string => method);
    const allowed = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort();
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'QUERY']) {
      if (methods.includes(method)) continue;
      const answer = await send(`${method} /api/v1${path}`, { headers: { cookie: operator.cookie } });
      expect(answer.status).toBe(405);
      expect(codeOf('REST', answer)).toBe('METHOD_NOT_SUPPORTED');
      expect(listed(answer.headers.allow?.[0])).toEqual(allowed);
    }
    const options = await send(`OPTIONS /api/v1${path}`);
    expect(options).toMatchObject({ status: 204, text: '' });
    expect(listed(options.headers.allow?.[0])).toEqual(allowed);
    if (methods.includes('GET')) return;
    const head = await send(`HEAD /api/v1${path}`);
    expect(head).toMatchObject({ status: 405, text: '' });
    expect(listed(head.headers.allow?.[0])).toEqual(allowed);
  });

  test.each(operations)('$name over tRPC refuses every other method with 405 and an Allow', async ({ name, type }) => {
    const accepted = type === 'query' ? 'GET' : 'POST';
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'QUERY']) {
      if (method === accepted) continue;
      const answer = await send(`${method} /trpc/${name}`, { headers: { cookie: operator.cookie } });
      expect(answer.status).toBe(405);
      expect(codeOf('tRPC', answer)).toBe('METHOD_NOT_SUPPORTED');
      expect(listed(answer.headers.allow?.[0])).toContain(accepted);
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
    const options = await send(`OPTIONS /trpc/${name}`);
    expect(options).toMatchObject({ status: 204, text: '' });
    expect(listed(options.headers.allow?.[0])).toEqual(['GET', 'HEAD', 'OPTIONS', 'POST']);
  });

  test.each(everyOperation.filter(({ type }) => type === 'query'))(
    'HEAD of $name over $face answers as GET without a body',
    async ({ face, operation }) => {
      const { path } = targetOf(face, operation);
      for (const headers of [{}, { cookie: operator.cookie }]) {
        const get = await send(`GET ${path}`, { headers });
        const head = await send(`HEAD ${path}`, { headers });
        expect(head.text).toBe('');
        expect(head.status).toBe(get.status);
        const { date: _one, 'x-request-id': _id, 'content-length': _length, ...expected } = get.headers;
        const { date: _other, 'x-request-id': _otherId, ...actual } = head.headers;
        expect(actual).toEqual(expected);
      }
    },
  );

  test.each([
    ['X-HTTP-Method-Override', {}],
    ['X-HTTP-Method', {}],
    ['X-Method-Override', {}],
  ])('%s does not turn a read into a write, nor a write into a read', async (name) => {
    const overriden = await send('GET /api/v1/auth/login', { headers: { [name]: 'POST' } });
    expect(overriden.status).toBe(405);
    const rpc = await send('GET /trpc/auth.logout', { headers: { [name]: 'POST', cookie: operator.cookie } });
    expect(rpc.status).toBe(405);
    const read = await send('POST /api/v1/auth/me', { headers: { [name]: 'GET', cookie: operator.cookie } });
    expect(read.status).toBe(405);
    const rpcRead = await send('POST /trpc/auth.me', { headers: { [name]: 'GET', cookie: operator.cookie } });
    expect(rpcRead.status).toBe(405);
    expect((await operator.rest('GET', '/auth/me')).status).toBe(200);
  });
});

describe('paths', () => {
  const spellings = (path: string) => [
    path.toUpperCase(),
    path.replace(/[a-z](?=[a-z]*$)/, (letter) => letter.toUpperCase()),
    path.replace(/[a-z](?=[a-z]*$)/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    `${path}/`,
    `${path}//`,
    // Below, where ids are expected, a dot is an unknown id.
    ...(operations.some((each) => each.hasParameter && path.endsWith(each.path.replace(/\/a+$/, '')))
      ? []
      : [`${path}/.`]),
    `${path}/x/..`,
    `${path};a=b`,
    `${path}.json`,
    `${path}%20`,
    `${path}%00`,
    `${path}%2f`,
    `${path}%zz`,
    `${path}#fragment`,
    `/${path}`,
    path.replace(/\/(?=[^/]+$)/, '//'),
    path.replace(/\/(?=[^/]+$)/, '/./'),
    path.replace(/\/(?=[^/]+$)/, '%2f'),
    path.replace(/\/(?=[^/]+$)/, '\\'),
    path.replace(/\/(?=[^/]+$)/, '\\').concat('#'),
    path.replace(/\/(?=[^/]+$)/, '/x/'),
  ];

  test.each(everyOperation.filter(({ hasParameter }) => !hasParameter))(
    '$face has $name at one spelling of its path only',
    async ({ face, operation }) => {
      const { method, path } = targetOf(face, operation);
      for (const spelling of spellings(path)) {
        const answer = await send(`${method} ${spelling}`, { headers: { cookie: operator.cookie } });
        expect([spelling, answer.status]).toEqual([spelling, 404]);
        const isBelowTrpc = spelling.startsWith('/trpc/');
        expect(codeOf(isBelowTrpc ? 'tRPC' : 'REST', answer)).toBe('NOT_FOUND');
      }
    },
  );

  test.each([
    '/',
    '//',
    '/api',
    '/api/v1',
    '/api/v1/',
    '/api/v1/nothing',
    '/api/v1/__proto__',
    '/api/v1/constructor',
    '/api/v2/auth/me',
    '/apiv1/auth/me',
    '/nothing?password=hunter2',
    '/%',
    '/%ff',
    '/api/v1/%E0%A4%A',
    '*',
    '/.env',
    '/api/v1/../../.env',
    '/healthz/',
    '/HEALTHZ',
    '/readyz/x',
  ])('%s is 404, in the shape of every error', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
      const answer = await send(`${method} ${path}`);
      if (path === '/' && answer.status !== 404) continue;
      expect([method, answer.status]).toEqual([method, 404]);
      expect(codeOf('REST', answer)).toBe('NOT_FOUND');
      expect(answer.text).not.toContain('hunter2');
    }
  });

  test.each([
    'nothing',
    'auth',
    'auth.',
    'auth.nothing',
    '__proto__',
    'constructor',
    'auth.__proto__',
    'auth.constructor',
    'toString',
    '_def',
    'createCaller',
    ',',
    'auth.me,auth.me',
    'a%2Cb',
  ])('tRPC knows no procedure %s', async (path) => {
    for (const method of ['GET', 'POST']) {
      const answer = await send(`${method} /trpc/${path}`, { headers: { cookie: operator.cookie } });
      expect([method, answer.status, codeOf('tRPC', answer)]).toEqual([method, 404, 'NOT_FOUND']);
    }
  });

  test.each(['http://HOST', 'https://HOST', 'HTTP://HOST', 'ftp://HOST'])(
    'only the path of an absolute URI is used: %s',
    async (origin) => {
      const { host } = new URL(server.url);
      for (const [face, path] of [
        ['REST', '/api/v1/auth/me'],
        ['tRPC', '/trpc/auth.me'],
      ] as const) {
        const answer = await send(`GET ${origin.replace('HOST', host)}${path}`);
        expect([answer.status, codeOf(face, answer)]).toEqual([401, 'UNAUTHORIZED']);
      }
      const root = await send(`GET ${origin.replace('HOST', host)}?x`);
      expect(root.status).toBe(303);
    },
  );

  test('the probes refuse other methods, and answer HEAD and OPTIONS', async () => {
    for (const path of ['/healthz', '/readyz']) {
      expect((await send(`GET ${path}`)).json).toMatchObject({ status: 'ok' });
      expect(await send(`HEAD ${path}`)).toMatchObject({ status: 200, text: '' });
      expect(await send(`OPTIONS ${path}`)).toMatchObject({ status: 204, text: '' });
      const post = await send(`POST ${path}`);
      expect([codeOf('REST', post), post.headers.allow]).toEqual(['METHOD_NOT_SUPPORTED', ['GET, HEAD, OPTIONS']]);
    }
  });
});

describe('a malformed request:', () => {
  test.each([
    ['words', 'hello\r\n\r\n'],
    ['TLS', Buffer.from('160301020001000001fc0303', 'hex')],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no Host', 'GET /api/v1/auth/me HTTP/1.1\r\n\r\n'],
    ['two Hosts', 'GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
    ['a NUL in a header', 'GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nX-A: \0\r\nConnection: close\r\n\r\n'],
    ['a bare line feed', 'GET /api/v1/auth/me HTTP/1.1\nHost: a\nX-A: b\n\n'],
    ['a header of 60 KB', `GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nX-A: ${'x'.repeat(60_000)}\r\n\r\n`],
    ['an address of 60 KB', `GET /api/v1/auth/me?${'x'.repeat(60_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['3000 headers', `GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${'A: b\r\n'.repeat(3000)}\r\n`],
    ['CONNECT', 'CONNECT localhost:22 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['an Expect of tea', 'GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nConnection: close\r\n\r\n'],
  ])('%s is refused, and the next request succeeds', async (_name, bytes) => {
    const answer = await sendBytes(server.url, bytes);
    if (typeof answer.json === 'object') expect(Object.keys(answer.json).sort()).toEqual(['code', 'message']);
    else expect(['', '0\r\n\r\n']).toContain(answer.text);
    expect(Number.isNaN(answer.status) || (answer.status >= 400 && answer.status < 500)).toBe(true);
    expect((await send('GET /api/v1/auth/status')).status).toBe(200);
  });
});

test.each(faces)('a wrong password is 401 over %s and sets no cookie', async (face) => {
  const client = server.client();
  const input = { password: 'not this one' };
  const answer =
    face === 'REST'
      ? await client.rest('POST', '/auth/login', input)
      : await client.trpc('mutation', 'auth.login', input);
  expect(codeIn(face, answer)).toBe('UNAUTHORIZED');
  expect(answer.headers.getSetCookie()).toEqual([]);
});

describe('batches', () => {
  const batch = (names: string[], input?: unknown, headers: Record<string, string> = {}) =>
    send(`POST /trpc/${names.join(',')}?batch=1`, {
      headers: { ...json, ...headers },
      ...(input === undefined ? {} : { body: JSON.stringify(input) }),
    });
  const repeat = (name: string, times: number) => Array.from({ length: times }, () => name);

  test('ten calls are answered, eleven are refused', async () => {
    const ten = await send(`GET /trpc/${repeat('auth.status', 10).join(',')}?batch=1`);
    expect(ten.status).toBe(200);
    expect(ten.json).toHaveLength(10);
    for (const separator of [',', '%2C', '%2c']) {
      const eleven = await send(`GET /trpc/${repeat('auth.status', 11).join(separator)}?batch=1`);
      expect([eleven.status, codeOf('tRPC', eleven)]).toEqual([400, 'BAD_REQUEST']);
    }
    const writes = await batch(repeat('auth.logout', 11));
    expect([writes.status, codeOf('tRPC', writes)]).toEqual([400, 'BAD_REQUEST']);
    expect(writes.headers['set-cookie']).toBeUndefined();
  });

  test('two sign-ins in one batch are checked separately', async () => {
    const answer = await batch(['auth.login', 'auth.login'], { 0: { password: PASSWORD }, 1: { password: 'wrong' } });
    expect(answer.status).toBe(207);
    expect(answer.json[0].result.data).toMatchObject({ authenticated: true });
    expect(readError('tRPC', 401, answer.json[1]).code).toBe('UNAUTHORIZED');
    expect(sessionCookies(answer.headers['set-cookie'])).toHaveLength(1);
  });

  test('one failed call does not affect the others', async () => {
    const names = ['auth.status', 'auth.me', 'nothing', 'client.protected'];
    const answer = await send(`GET /trpc/${names.join(',')}?batch=1`);
    expect(answer.status).toBe(207);
    const [status, me, nothing, protectedOne] = answer.json;
    expect(status.result.data.authenticated).toBe(false);
    expect(readError('tRPC', 401, me).code).toBe('UNAUTHORIZED');
    expect(readError('tRPC', 404, nothing).code).toBe('NOT_FOUND');
    expect(readError('tRPC', 401, protectedOne).code).toBe('UNAUTHORIZED');
  });

  test.each(['[]', '[{}]', 'null', '"x"', '5', 'true', '{"0"', '', '{}', '{"0":null}', '{"1":{}}', '{"0":[]}'])(
    'an input of %s for a batch of one sign-in is refused',
    async (body) => {
      const answer = await send('POST /trpc/auth.login?batch=1', { headers: json, body });
      expect(answer.status).toBe(400);
      const first = Array.isArray(answer.json) ? answer.json[0] : answer.json;
      expect(readError('tRPC', 400, first).code).toBe('BAD_REQUEST');
      expect(answer.headers['set-cookie']).toBeUndefined();
    },
  );

  test('reads and writes cannot be mixed', async () => {
    const answer = await batch(['auth.login', 'auth.me'], { 0: { password: PASSWORD } });
    expect([answer.status, codeOf('tRPC', answer)]).toEqual([400, 'BAD_REQUEST']);
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  test.each([{ 'trpc-accept': 'application/jsonl' }, { accept: 'application/jsonl, */*' }])(
    'a streamed batch, which could set no cookie, is refused before anything is done: %o',
    async (headers: Record<string, string>) => {
      const write = await batch(['auth.login'], { 0: { password: PASSWORD } }, headers);
      expect([write.status, codeOf('tRPC', write)]).toEqual([400, 'BAD_REQUEST']);
      expect(write.headers['set-cookie']).toBeUndefined();
      const read = await send('GET /trpc/auth.me?batch=1', { headers });
      expect([read.status, codeOf('tRPC', read)]).toEqual([400, 'BAD_REQUEST']);
    },
  );
});

test('a request that is cut off in its body affects no other request', async () => {
  for (const path of ['/api/v1/auth/login', '/trpc/auth.login']) {
    await new Promise<void>((resolve) => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => {
        const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n`;
        socket.write(`${head}{"password":`, () => socket.destroy());
      });
      socket.on('close', () => resolve());
    });
    expect((await send('GET /api/v1/auth/status')).status).toBe(200);
  }
});

test('passwords and cookies are never logged, at any level', async () => {
  using write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const secret = 'hunter2-canary';
  const headers = { ...json, cookie: `backchannel_session=${secret}`, authorization: `Bearer bct_${secret}` };
  await using open = await startServer({}, { log: createLog({ logLevel: 'trace', logFormat: 'json' }) });
  const client = open.client();
  await client.signIn();
  await using db = await openElsewhere(open);
  for (const table of ['sessions', 'elsewhere']) {
    for (const path of [
      '/api/v1/auth/login',
      '/trpc/auth.login',
      `/api/v1/auth/me?password=${secret}`,
      '/trpc/nothing',
    ]) {
      for (const body of [`{"password":"${secret}"}`, `{"password":"${secret}`, secret, `{"${secret}":1}`]) {
        await sendRaw(open.url, `POST ${path}`, { headers, body });
        await sendRaw(open.url, `POST ${path}`, { headers: { ...json, cookie: client.cookie }, body });
      }
    }
    if (table === 'sessions') await db.run('alter table backchannel_sessions rename to elsewhere');
    open.advance(1000);
    await sendRaw(open.url, 'GET /api/v1/auth/me', { headers: { cookie: client.cookie } });
  }
  const log = write.mock.calls.map(([line]) => String(line)).join('');
  expect(log).toContain('INTERNAL_SERVER_ERROR');
  for (const word of [secret, PASSWORD, ...client.cookie.split(/[=;.]/).filter((part) => part.length > 30)]) {
    expect(log).not.toContain(word);
  }
});

describe('an unexpected failure', () => {
  test.each(['production', 'development', 'test'])('is 500 without details, NODE_ENV=%s', async (env) => {
    vi.stubEnv('NODE_ENV', env);
    await using broken = await startServer();
    const client = broken.client();
    await client.signIn();
    await using db = await openElsewhere(broken);
    await db.run('alter table backchannel_sessions rename to elsewhere');
    broken.advance(1000);

    for (const operation of operations.filter(({ access }) => access !== 'anyone')) {
      for (const face of faces) {
        const { method, path } = targetOf(face, operation);
        const answer = await sendRaw(broken.url, `${method} ${path}`, { headers: { cookie: client.cookie } });
        expect([operation.name, answer.status]).toEqual([operation.name, 500]);
        const { message } = readError(face, answer.status, answer.json);
        expect(message).toBe('Something went wrong on the server; see its log.');
      }
    }
    for (const path of ['/nothing', '/api/v1/nothing']) {
      const answer = await sendRaw(broken.url, `GET ${path}`);
      expect(readError('REST', answer.status, answer.json).code).toBe('NOT_FOUND');
    }
    const malformed = await sendRaw(broken.url, 'POST /trpc/auth.login', {
      headers: json,
      body: '{"password":"hunter2',
    });
    expect(readError('tRPC', 400, malformed.json).message).toMatch(/^The input is not valid JSON, /);

    await db.run('alter table elsewhere rename to backchannel_sessions');
    expect((await client.rest('GET', '/auth/me')).status).toBe(200);
  });

  test('is also a result that does not match its own schema, which is not bad input', async () => {
    await using broken = await startServer();
    const client = broken.client();
    await client.signIn();
    await using db = await openElsewhere(broken);
    await db.run("update backchannel_events set type = 'not a type'");
    const rest = await client.rest('GET', '/client/dashboard');
    expect([rest.status, codeIn('REST', rest), rest.body.issues]).toEqual([500, 'INTERNAL_SERVER_ERROR', undefined]);
    const rpc = await client.trpc('query', 'client.dashboard');
    expect([rpc.status, codeIn('tRPC', rpc), rpc.body.error.data.issues]).toEqual([
      500,
      'INTERNAL_SERVER_ERROR',
      undefined,
    ]);
  });
});

describe('while the database is unavailable', () => {
  const expectUnavailable = (face: Face, answer: Answer) => {
    const error = readError(face, answer.status, answer.body);
    expect(error.code).toBe('SERVICE_UNAVAILABLE');
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    if (face === 'tRPC') expect(String(error.retryAfterSeconds)).toBe(answer.headers.get('retry-after'));
  };
  const clearsCookie = (answer: Answer) => {
    const [line = ''] = sessionCookies(answer.headers.getSetCookie());
    return line.startsWith('backchannel_session=; Max-Age=0;');
  };

  test('reads and writes are 503 with Retry-After, sign-out still clears the cookie, and everything works again afterwards', async () => {
    await using broken = await startServer();
    const clients = { REST: broken.client(), tRPC: broken.client() };
    await Promise.all(Object.values(clients).map((client) => client.signIn()));
    const torn = await tearTable(broken, 'sessions');
    broken.advance(1000);

    const queries = operations.filter(({ access, type }) => access !== 'anyone' && type === 'query');
    await Promise.all(
      faces.map(async (face) => {
        const client = broken.client();
        client.cookie = clients[face].cookie;
        const ask = ({ name, path, type }: (typeof operations)[number]) =>
          face === 'REST' ? client.rest('GET', path) : client.trpc(type, name);
        for (const answer of await Promise.all(queries.map(ask))) expectUnavailable(face, answer);
        const logout = await (face === 'REST'
          ? client.rest('POST', '/auth/logout')
          : client.trpc('mutation', 'auth.logout'));
        expectUnavailable(face, logout);
        expect(clearsCookie(logout)).toBe(true);
      }),
    );
    const batched = await clients.tRPC.trpc('query', 'auth.me,auth.status?batch=1');
    expect([batched.status, batched.headers.get('retry-after')]).toEqual([503, '2']);

    await torn.mend();
    for (const face of faces) expect((await clients[face].rest('GET', '/auth/me')).status).toBe(200);
  });

  test('because another process holds the write lock, sign-in and sign-out are 503, and work again afterwards', async () => {
    await using busy = await startServer();
    const clients = { REST: busy.client(), tRPC: busy.client() };
    await Promise.all(Object.values(clients).map((client) => client.signIn()));
    const locked = await lockWrites(busy);
    const stranger = busy.client();
    const [login, rpcLogin, wrong, logout, rpcLogout] = await Promise.all([
      stranger.signIn(),
      stranger.trpc('mutation', 'auth.login', { password: PASSWORD }),
      stranger.rest('POST', '/auth/login', { password: 'not this one' }),
      clients.REST.rest('POST', '/auth/logout'),
      clients.tRPC.trpc('mutation', 'auth.logout'),
    ]);
    expectUnavailable('REST', login);
    expectUnavailable('tRPC', rpcLogin);
    expectUnavailable('REST', wrong);
    expectUnavailable('REST', logout);
    expectUnavailable('tRPC', rpcLogout);
    expect([login, rpcLogin, wrong].map((answer) => answer.headers.getSetCookie())).toEqual([[], [], []]);
    expect([logout, rpcLogout].map(clearsCookie)).toEqual([true, true]);

    await locked.release();
    expect((await stranger.signIn()).status).toBe(200);
    expect((await stranger.rest('POST', '/auth/logout')).status).toBe(200);
  });
});
