// Access to every procedure on both faces: each kind of caller calls each procedure over REST and over tRPC.
// Runs on one engine: access is decided above the database.
import { initTRPC } from '@trpc/server';
import { afterAll, describe, expect, test } from 'vitest';
import { listProcedures } from '../../src/http/operations.ts';
import { appRouter } from '../../src/router.ts';
import { anyoneProcedure, router } from '../../src/trpc.ts';
import {
  type Caller,
  callers,
  furtherCallers,
  type Headers,
  makeToken,
  OWN_PASSWORD,
  openSession,
  type Standing,
  startOwnServer,
} from '../support/callers.ts';
import { type Answer, type Face, readError, sendRaw, type TestServer } from '../support/harness.ts';

type Who = 'all' | 'operator' | 'session' | 'fresh';
type Input = Record<string, unknown>;
type MakeInput = (server: TestServer) => Promise<Input>;

/** The specification: the path of each operation and who may call it. Written by hand, independently of the code. */
const contract: Record<string, [rest: string, who: Who]> = {
  'auth.login': ['POST /auth/login', 'all'],
  'auth.logout': ['POST /auth/logout', 'all'],
  'auth.me': ['GET /auth/me', 'operator'],
  'auth.status': ['GET /auth/status', 'all'],
  'auth.hashPassword': ['POST /auth/hash-password', 'operator'],
  'auth.stepUp': ['POST /auth/step-up', 'session'],
  'auth.changePassword': ['POST /auth/password', 'session'],
  'auth.sessions.list': ['GET /auth/sessions', 'operator'],
  'auth.sessions.revoke': ['DELETE /auth/sessions/{id}', 'operator'],
  'auth.sessions.revokeOthers': ['DELETE /auth/sessions', 'operator'],
  'auth.tokens.list': ['GET /auth/tokens', 'operator'],
  'auth.tokens.create': ['POST /auth/tokens', 'fresh'],
  'auth.tokens.revoke': ['DELETE /auth/tokens/{id}', 'session'],
  'auth.events.list': ['GET /auth/events', 'operator'],
  'client.profile': ['GET /client/profile', 'operator'],
  'client.dashboard': ['GET /client/dashboard', 'operator'],
  'client.stats': ['GET /client/stats', 'operator'],
  'client.protected': ['GET /client/protected', 'operator'],
};

/** The input of each operation that needs one. */
const inputs: Record<string, MakeInput> = {
  'auth.login': async () => ({ password: OWN_PASSWORD }),
  'auth.hashPassword': async () => ({ password: 'mynewpassword' }),
  'auth.stepUp': async () => ({ password: OWN_PASSWORD }),
  'auth.changePassword': async () => ({ current: OWN_PASSWORD, new: 'another one' }),
  'auth.sessions.revoke': async (server) => ({ id: (await openSession(server)).id }),
  'auth.tokens.create': async () => ({ name: 'script', scope: 'read' }),
  'auth.tokens.revoke': async (server) => ({ id: (await makeToken(server, 'full')).id }),
  'auth.events.list': async () => ({ limit: 5 }),
};

/** The callers of a procedure, and the expected responses. */
const refusals: Record<Who | 'operator, to change something', Partial<Record<Standing, string>>> = {
  all: {},
  operator: { nobody: 'UNAUTHORIZED', 'proxy token': 'FORBIDDEN' },
  'operator, to change something': { nobody: 'UNAUTHORIZED', 'proxy token': 'FORBIDDEN', 'read token': 'FORBIDDEN' },
  session: {
    nobody: 'UNAUTHORIZED',
    'proxy token': 'FORBIDDEN',
    'read token': 'FORBIDDEN',
    'full token': 'FORBIDDEN',
  },
  fresh: {
    nobody: 'UNAUTHORIZED',
    'stale session': 'STEP_UP_REQUIRED',
    'proxy token': 'FORBIDDEN',
    'read token': 'FORBIDDEN',
    'full token': 'FORBIDDEN',
  },
};
const statuses: Record<string, number> = {
  OK: 200,
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  STEP_UP_REQUIRED: 403,
};

interface Row {
  name: string;
  method: string;
  path: string;
  expected(standing: Standing): string;
}
const rows = Object.entries(contract).map(([name, [rest, who]]): Row => {
  const [method = '', path = ''] = rest.split(' ');
  const isWrite = method !== 'GET';
  const refused = refusals[who === 'operator' && isWrite ? 'operator, to change something' : who];
  return { name, method, path, expected: (standing) => refused[standing] ?? 'OK' };
});
const rowOf = (name: string) => rows.find((row) => row.name === name) ?? expect.fail(name);
const faces: Face[] = ['REST', 'tRPC'];
const everyCaller = [...callers, ...furtherCallers];

// For operations that change nothing.
const server = await startOwnServer();
const guests: (Caller & { headers: Headers })[] = [];
// In this order: the stale session comes first, because time does not advance for the others.
for (const each of everyCaller) guests.push({ ...each, headers: await each.arrive(server) });
afterAll(() => server[Symbol.asyncDispose]());

test('the procedures and the specified operations are the same, at the same methods and paths', () => {
  const there = listProcedures(appRouter).map(({ name, meta }) => [
    name,
    `${meta.openapi.method} ${meta.openapi.path}`,
  ]);
  const specified = Object.entries(contract).map(([name, [rest]]) => [name, rest]);
  expect(there.sort()).toEqual(specified.sort());
});

test.each([
  ['where it is', anyoneProcedure.query(() => 1)],
  ['who may call it', initTRPC.create().procedure.query(() => 1)],
])('a procedure that does not declare %s is refused before the server starts', (_what, secret) => {
  expect(() => listProcedures(router({ client: router({ secret }) }))).toThrow(/^client\.secret has no path or access/);
});

describe.each(rows)('$name', (row) => {
  test('gives every caller the specified response, the same on both faces', async () => {
    const [overRest, overTrpc] = await Promise.all(faces.map((face) => callByEach(row, face)));
    expect(overTrpc).toEqual(overRest);
    expect(overRest?.map(({ caller, code }) => [caller, code])).toEqual(
      everyCaller.map(({ caller, standing }) => [caller, row.expected(standing)]),
    );
    // A cookie beside a token is neither read nor cleared.
    const ofTokens = overRest?.filter((_, index) => everyCaller[index]?.standing.endsWith('token')) ?? [];
    expect(ofTokens.flatMap(({ cookies }) => cookies.filter((each) => each.startsWith('clears ')))).toEqual([]);
  });

  test.each(faces)('describes invalid input over %s only to callers that may call it', async (face) => {
    for (const { caller, standing, headers } of guests) {
      const input = { ...(row.path.includes('{id}') ? { id: 'a'.repeat(24) } : {}), verbose: true };
      const answers = [await call(server, face, row, { input, headers })];
      if (row.method !== 'GET') answers.push(await callMalformed(server, face, row, { input, headers }));
      const expected = row.expected(standing) === 'OK' ? 'BAD_REQUEST' : row.expected(standing);
      for (const answer of answers) expect([caller, outcomeOf(face, answer).code]).toEqual([caller, expected]);
    }
  });
});

describe.each(faces)('over %s', (face) => {
  const me = rowOf('auth.me');
  const hash = rowOf('auth.hashPassword');

  test.each(['bct_x', 'bct_', 'BCT_x', 'bct_not.of-our+letters/=', 'bct_two words', `bct_${'x'.repeat(5000)}`])(
    'a bearer token decides alone, whatever follows the prefix: %s',
    async (token) => {
      const { headers: cookie } = await openSession(server);
      const answer = await call(server, face, me, { headers: { ...cookie, authorization: `Bearer ${token}` } });
      expect(outcomeOf(face, answer).code).toBe('UNAUTHORIZED');
    },
  );

  test.each(['', 'Bearer', 'Bearer x', 'Bearer x bct_x', 'Digest bct_x', 'Basic bct_x', 'Bearerbct_x', 'bct_x'])(
    'any other Authorization header is ignored: "%s"',
    async (authorization) => {
      const { headers: cookie } = await openSession(server);
      const operator = await call(server, face, me, { headers: { ...cookie, authorization } });
      const stranger = await call(server, face, me, { headers: { authorization } });
      expect([operator, stranger].map((answer) => outcomeOf(face, answer).code)).toEqual(['OK', 'UNAUTHORIZED']);
    },
  );

  test('a page of another origin needs a bearer token, whose scope then decides', async () => {
    const foreign = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' };
    for (const { caller, standing, headers } of guests) {
      const isOurs = headers.authorization?.startsWith('Bearer bct_');
      const input = { password: 'mynewpassword' };
      const answer = await call(server, face, hash, { input, headers: { ...headers, ...foreign } });
      const expected = isOurs ? hash.expected(standing) : 'FORBIDDEN';
      expect([caller, outcomeOf(face, answer).code]).toEqual([caller, expected]);
    }
  });
});

describe('the parameters of auth.events.list', () => {
  const list = rowOf('auth.events.list');
  const callBoth = (at: TestServer, headers: Headers, [query, input]: [string, Input]) => [
    { face: 'REST' as const, answer: at.client().rest('GET', `/auth/events${query}`, undefined, headers) },
    { face: 'tRPC' as const, answer: call(at, 'tRPC', list, { input, headers }) },
  ];

  test('are converted as documented, and give the same page on both faces', async () => {
    await using server = await startOwnServer();
    for (const { arrive } of callers) await arrive(server);
    const { headers } = await openSession(server);
    const all = await server.client().rest('GET', '/auth/events', undefined, headers);
    const ids: string[] = all.body.events.map(({ id }: { id: string }) => id);
    expect(ids.length).toBeGreaterThan(5);
    const cursor = ids[2] ?? '';
    const made = all.body.events.filter(({ type }: { type: string }) => type === 'token.created');
    const madeIds: string[] = made.map(({ id }: { id: string }) => id);
    expect(madeIds).toHaveLength(3);
    const cases: [query: string, input: Input, expected: string[]][] = [
      ['', {}, ids],
      ['?', {}, ids],
      ['?limit=5', { limit: 5 }, ids.slice(0, 5)],
      ['?limit=1', { limit: 1 }, ids.slice(0, 1)],
      ['?limit=100', { limit: 100 }, ids],
      [`?cursor=${cursor}`, { cursor }, ids.slice(3)],
      [`?limit=2&cursor=${cursor}`, { limit: 2, cursor }, ids.slice(3, 5)],
      ['?type=token.created', { type: 'token.created' }, madeIds],
      ['?type=token.created&limit=2', { type: 'token.created', limit: 2 }, madeIds.slice(0, 2)],
      ['?type=password.changed', { type: 'password.changed' }, []],
    ];
    for (const [query, input, expected] of cases) {
      const pages = callBoth(server, headers, [query, input]).map(async ({ face, answer }) => {
        const { code, body } = outcomeOf(face, await answer, { masked: false });
        return [query, code, (body as typeof all.body).events.map(({ id }: { id: string }) => id)];
      });
      for (const page of await Promise.all(pages)) expect(page).toEqual([query, 'OK', expected]);
    }
  });

  test.each<[query: string, field: string, input: Input]>([
    ['?limit=five', 'limit', { limit: 'five' }],
    ['?limit=', 'limit', { limit: '' }],
    ['?limit=0', 'limit', { limit: 0 }],
    ['?limit=-0', 'limit', { limit: -0 }],
    ['?limit=-5', 'limit', { limit: -5 }],
    ['?limit=101', 'limit', { limit: 101 }],
    ['?limit=5.0', 'limit', { limit: '5.0' }],
    ['?limit=5.5', 'limit', { limit: 5.5 }],
    ['?limit=1e1', 'limit', { limit: '1e1' }],
    ['?limit=0x5', 'limit', { limit: '0x5' }],
    ['?limit=05', 'limit', { limit: '05' }],
    ['?limit=%205', 'limit', { limit: ' 5' }],
    ['?limit=+5', 'limit', { limit: ' 5' }],
    ['?limit=%2B5', 'limit', { limit: '+5' }],
    ['?limit=%D9%A5', 'limit', { limit: '٥' }],
    ['?limit=null', 'limit', { limit: null }],
    ['?limit=true', 'limit', { limit: true }],
    ['?limit=[5]', 'limit', { limit: [5] }],
    ['?limit=9007199254740993', 'limit', { limit: 9007199254740993n.toString() }],
    ['?limit="5"', 'limit', { limit: '5' }],
    ['?limit[]=5', 'limit[]', { 'limit[]': 5 }],
    ['?Limit=5', 'Limit', { Limit: 5 }],
    ['?cursor=', 'cursor', { cursor: '' }],
    ['?cursor=5', 'cursor', { cursor: 5 }],
    ['?cursor=019CEB5BFC000001C3D29A4F', 'cursor', { cursor: '019CEB5BFC000001C3D29A4F' }],
    ['?cursor=019ceb5bfc000001c3d29a4f0', 'cursor', { cursor: '019ceb5bfc000001c3d29a4f0' }],
    ['?cursor=019ceb5bfc000001c3d29a4f%0A', 'cursor', { cursor: '019ceb5bfc000001c3d29a4f\n' }],
    ['?type=', 'type', { type: '' }],
    ['?type=nothing', 'type', { type: 'nothing' }],
    ['?type=toString', 'type', { type: 'toString' }],
    ['?type=login.failed,logout', 'type', { type: ['login.failed', 'logout'] }],
    ['?offset=5', 'offset', { offset: 5 }],
    ['?__proto__=5', '__proto__', JSON.parse('{"__proto__":5}')],
    ['?limit=5&verbose=1', 'verbose', { limit: 5, verbose: '1' }],
  ])('are refused if they are invalid: %s', async (query, field, input) => {
    const { headers } = await openSession(server);
    for (const { face, answer } of callBoth(server, headers, [query, input])) {
      const { status, body } = await answer;
      const { code, issues } = readError(face, status, body);
      expect([face, code, issues?.map(({ path }) => path)]).toEqual([face, 'BAD_REQUEST', [field]]);
    }
  });

  test.each(['limit=5&limit=5', 'limit=5&limit=6', 'limit=5&type=logout&limit', 'cursor&cursor'])(
    'are refused if one appears twice: ?%s',
    async (query) => {
      const { headers } = await openSession(server);
      const { status, body } = await server.client().rest('GET', `/auth/events?${query}`, undefined, headers);
      const { code, issues } = readError('REST', status, body);
      expect([code, issues?.map(({ path }) => path)]).toEqual(['BAD_REQUEST', [query.split(/[=&]/)[0]]]);
    },
  );
});

interface Call {
  input?: Input;
  headers: Headers;
}

/** Runs every caller in turn on a new server, the same way for both faces, so that their responses can be compared. */
async function callByEach(row: Row, face: Face) {
  await using shared = await startOwnServer();
  const outcomes: ({ caller: string } & Outcome)[] = [];
  for (const { caller, arrive } of everyCaller) {
    // The next caller signs in with the old password.
    await using own = row.name === 'auth.changePassword' ? await startOwnServer() : null;
    const server = own ?? shared;
    const headers = await arrive(server);
    const input = await inputs[row.name]?.(server);
    const answer = await call(server, face, row, { headers, ...(input ? { input } : {}) });
    outcomes.push({ caller, ...outcomeOf(face, answer) });
  }
  return outcomes;
}

function call(server: TestServer, face: Face, row: Row, { input, headers }: Call): Promise<Answer> {
  const { name, method } = row;
  const client = server.client();
  if (face === 'tRPC') return client.trpc(method === 'GET' ? 'query' : 'mutation', name, input, headers);
  const { path, rest } = placeId(row, input);
  if (method !== 'GET') return client.rest(method, path, rest, headers);
  const query = new URLSearchParams(
    Object.entries(rest ?? {}).map(([field, value]): [string, string] => [field, String(value)]),
  );
  return client.rest(method, `${path}?${query}`, undefined, headers);
}

/** A write whose body is cut off. */
async function callMalformed(server: TestServer, face: Face, row: Row, { input, headers }: Call): Promise<Answer> {
  const target = face === 'REST' ? `${row.method} /api/v1${placeId(row, input).path}` : `POST /trpc/${row.name}`;
  const json = { 'content-type': 'application/json' };
  const answer = await sendRaw(server.url, target, { headers: { ...json, ...headers }, body: '{"password":' });
  return { status: answer.status, headers: new Headers(), body: answer.json };
}

/** Puts the id of an input into the path, as REST does. */
function placeId({ path }: Row, input: Input | undefined): { path: string; rest: Input | undefined } {
  if (!path.includes('{id}')) return { path, rest: input };
  const { id, ...rest } = input ?? {};
  return { path: path.replace('{id}', String(id)), rest: Object.keys(rest).length > 0 ? rest : undefined };
}

interface Outcome {
  code: string;
  /** The result, or the error's message. */
  body: unknown;
  /** The names of the cookies that the response sets, and of those that it clears. */
  cookies: string[];
}

function outcomeOf(face: Face, { status, headers, body }: Answer, options = { masked: true }): Outcome {
  const cookies = headers.getSetCookie().map((line) => {
    return `${/max-age=0\b/i.test(line) ? 'clears' : 'sets'} ${line.slice(0, line.indexOf('='))}`;
  });
  if (status === 200) {
    const result: unknown = face === 'REST' ? body : body.result.data;
    return { code: 'OK', body: options.masked ? mask(result) : result, cookies };
  }
  const { code, message, issues } = readError(face, status, body);
  expect(status).toBe(statuses[code]);
  return { code, body: issues ? { message, issues } : message, cookies };
}

/** A result without the parts that differ between servers: times, ids, secrets and salts. */
function mask(result: unknown): unknown {
  const differs = /At$|Seconds|Left$|Id$|^(at|id|since|until|hash|base64|env|secret|prefix|nextCursor)$/;
  return JSON.parse(
    JSON.stringify(result, (key, value) => (differs.test(key) && value !== null ? typeof value : value)),
  );
}
