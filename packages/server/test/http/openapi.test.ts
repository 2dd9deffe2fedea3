// Runs on one engine: the document and its promises are the same on both.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { AnyTRPCProcedure, AnyTRPCRouter } from '@trpc/server';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { oas31 } from 'zod-openapi';
import { errorStatuses } from '../../src/errors.ts';
import { createOpenApiDocument, type DocumentConfig } from '../../src/http/openapi/document.ts';
import { listProcedures } from '../../src/http/operations.ts';
import { appRouter } from '../../src/router.ts';
import { NewToken } from '../../src/services/new-token.ts';
import { version } from '../../src/version.ts';
import { occupyPasswordCheck, oneAtATime } from '../support/busy.ts';
import {
  callers,
  furtherCallers,
  type Headers,
  makeToken,
  OWN_PASSWORD,
  openSession,
  type Standing,
  startOwnServer,
} from '../support/callers.ts';
import { cookieOf } from '../support/cookies.ts';
import { openElsewhere, tearTable } from '../support/elsewhere.ts';
import { PASSWORD, type RawAnswer, sendRaw, startServer, type TestServer } from '../support/harness.ts';

const config: DocumentConfig = {
  publicUrl: 'http://localhost:8000',
  cookieName: 'backchannel_session',
  secureCookies: false,
  cookieDomain: null,
};
const document = createOpenApiDocument({ router: appRouter, version, config });
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(document, 'document');

interface Operation extends oas31.OperationObject {
  method: string;
  path: string;
}
const everyOperation: Operation[] = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]): Operation => ({ ...operation, method: method.toUpperCase(), path })),
);
const isForwardAuth = ({ path }: Operation) => path === '/auth/verify';
/** All operations except forward-auth, which is not a procedure. */
const operations = everyOperation.filter((operation) => !isForwardAuth(operation));
const named = (operation: Operation) => `${operation.method} ${operation.path}`;

test('the document lists every procedure and forward-auth once, each under its own name', () => {
  const procedures = listProcedures(appRouter).map(({ meta: { openapi } }) => `${openapi.method} ${openapi.path}`);
  expect(everyOperation.map(named).sort()).toEqual([...procedures, 'GET /auth/verify'].sort());
  expect(new Set(everyOperation.map(({ operationId }) => operationId)).size).toBe(everyOperation.length);
});

test('the document is valid OpenAPI 3.1, and every reference in it resolves', async () => {
  const validator = new Validator();
  expect(await validator.validate({ ...structuredClone(document) })).toMatchObject({ valid: true });
  expect(validator.version).toBe('3.1');
  for (const [, reference] of JSON.stringify(document).matchAll(/"\$ref":"(.*?)"/g)) {
    expect(lookUp(reference ?? ''), reference).toBeDefined();
  }
});

test('every operation has a summary and descriptions', () => {
  const described = new Set(document.tags?.filter((tag) => tag.description).map((tag) => tag.name));
  for (const operation of everyOperation) {
    expect(operation.summary, named(operation)).toMatch(/^[A-Z].*[^.]$/);
    expect(operation.description, named(operation)).toMatch(/^[A-Z]/);
    expect(
      operation.tags?.every((tag) => described.has(tag)),
      named(operation),
    ).toBe(true);
    expect(operation.security, named(operation)).toBeDefined();
    for (const { description } of parametersOf(operation)) expect(description).toMatch(/^[A-Z].*\.$/);
  }
});

test('every example in the document is valid against its schema', () => {
  const found = findExamples(document, '#');
  const ofBodies = found.filter(({ pointer }) => pointer.endsWith('/application~1json/schema'));
  expect(ofBodies.filter(({ pointer }) => pointer.includes('/requestBody/'))).toHaveLength(
    operations.filter(({ requestBody }) => requestBody).length,
  );
  expect(ofBodies.filter(({ pointer }) => pointer.includes('/responses/200/'))).toHaveLength(operations.length);
  for (const { pointer, value } of found)
    expect(problems(pointer, value), `${pointer} ${JSON.stringify(value)}`).toEqual([]);
});

test('every time has a format, and every id a pattern', () => {
  const fields = [...findFields(document, '#')];
  const at = (pattern: RegExp) => fields.filter(({ name }) => pattern.test(name));
  const times = at(/^(at|since|until)$|[a-z]At$/);
  const ids = at(/^(id|cursor|nextCursor)$|[a-z]Id$/);
  expect([times.length, ids.length].every((count) => count > 7)).toBe(true);
  for (const { pointer, schema } of times) expect(schema, pointer).toMatchObject({ format: 'date-time' });
  for (const { pointer, schema } of ids) expect(schema, pointer).toMatchObject({ pattern: '^[0-9a-f]{24}$' });
});

test('every object in the document allows only the listed fields', () => {
  const objects = findObjects(document, '#');
  expect(objects.length).toBeGreaterThan(operations.length);
  expect(objects.filter(({ schema }) => schema.additionalProperties !== false)).toEqual([]);
});

test("the document's rule for a token's name is the one that is enforced", () => {
  const at = '#/paths/~1auth~1tokens/post/requestBody/content/application~1json/schema/properties/name';
  const characters = [...Array(0x100).keys(), 0x2028, 0xfeff, 0x1f511].map((code) => String.fromCodePoint(code));
  const names = [...characters, '', ...[...'a', '🔑'].flatMap((each) => [each.repeat(64), each.repeat(65)])];
  for (const name of names) {
    const isTaken = NewToken.safeParse({ name, scope: 'read' }).success;
    expect(problems(at, name).length === 0, JSON.stringify(name)).toBe(isTaken);
  }
});

test('the document has none of the forms that client generators get wrong', () => {
  const text = JSON.stringify(document);
  // A boolean constant becomes an enumeration of strings; a choice between a name and null becomes a class, or nothing.
  for (const word of ['const', 'exclusiveMinimum', 'exclusiveMaximum', 'anyOf', 'oneOf', 'allOf', 'not']) {
    expect(text).not.toContain(`"${word}":`);
  }
  expect(text).toContain('"pattern":"^[^\\\\u0000]*$"');
});

test('the schemes name the cookies that the server sets, and the token is a bearer', async () => {
  await using server = await startServer(subdomains);
  const { json: body } = await sendRaw(server.url, 'GET /openapi.json');
  const description = expect.any(String);
  expect(body.components.securitySchemes).toEqual({
    session: { type: 'apiKey', in: 'cookie', name: '__Host-doorman', description },
    pass: { type: 'apiKey', in: 'cookie', name: '__Secure-doorman_pass', description },
    token: { type: 'http', scheme: 'bearer', bearerFormat: 'bct_…', description },
  });
  const used = new Set(JSON.stringify(body.paths).match(/(?<="security":\[.*?\{")\w+(?=":\[\])/g));
  expect([...used].sort()).toEqual(Object.keys(body.components.securitySchemes).sort());
  expect(JSON.stringify(body)).not.toContain('backchannel_session');
  expect(document.components?.securitySchemes).not.toHaveProperty('pass');
});

test('signing in, stepping up and signing out set and clear the cookies that the document of this server shows', async () => {
  await using server = await startServer(subdomains);
  const { json: body } = await sendRaw(server.url, 'GET /openapi.json');
  let cookie = '';
  for (const [path, input] of [
    ['/auth/login', { password: PASSWORD }],
    ['/auth/step-up', { password: PASSWORD }],
    ['/auth/logout', {}],
  ] as const) {
    const { headers } = await post(server, path, input, cookie ? { cookie } : {});
    cookie = headers['set-cookie']?.map((line) => line.slice(0, line.indexOf(';'))).join('; ') ?? '';
    const { examples } = body.paths[path].post.responses[200].headers['Set-Cookie'];
    const shown = Object.values<{ value: string }>(examples).map(({ value }) => cookieShape(value));
    expect(headers['set-cookie']?.map(cookieShape)).toEqual(shown);
    expect(shown).toContainEqual(expect.stringMatching(/^__Secure-doorman_pass=.*Domain=example\.com/));
  }
});

test('the document is the same each time, and generating it does not change the schemas', async () => {
  const again = createOpenApiDocument({ router: appRouter, version, config });
  expect(again).toEqual(document);
  await using server = await startServer();
  const input = { password: 'x', remember: 'true' };
  expect((await server.client().rest('POST', '/auth/login', input)).status).toBe(400);
  expect((await server.client().trpc('mutation', 'auth.login', input)).status).toBe(400);
});

test('the checked-in openapi.json is up to date (update it with "pnpm --filter server openapi")', () => {
  const text = readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8');
  expect(text).toBe(`${JSON.stringify(document, null, 2)}\n`);
});

test('no input schema coerces values', () => {
  const router: AnyTRPCRouter = appRouter;
  const procedures = Object.entries<AnyTRPCProcedure>(router._def.procedures);
  expect(procedures).toHaveLength(operations.length);
  for (const [name, { _def }] of procedures) {
    expect('inputs' in _def ? findCoercions(_def.inputs, 'input') : ['no input'], name).toEqual([]);
  }
  expect(findCoercions([z.strictObject({ age: z.array(z.coerce.number()) })], 'input')).toHaveLength(1);
});

test('the document lists exactly the error codes that exist', () => {
  expect(lookUp('#/components/schemas/Error/properties/code/enum')).toEqual(Object.keys(errorStatuses));
});

/** The callers that may call an operation, with the document's words for them. */
const audiences: [Standing[], security: oas31.SecurityRequirementObject[], words: string][] = [
  [callers.map(({ standing }) => standing), [], 'No credential required.'],
  [
    ['stale session', 'fresh session', 'read token', 'full token'],
    [{ session: [] }, { token: [] }],
    'Requires a session, or a token with scope `read` or `full`.',
  ],
  [
    ['stale session', 'fresh session', 'full token'],
    [{ session: [] }, { token: [] }],
    'Requires a session, or a token with scope `full`.',
  ],
  [['stale session', 'fresh session'], [{ session: [] }], 'Requires a session. Tokens are not accepted.'],
  [
    ['fresh session'],
    [{ session: [] }],
    'Requires a session whose password was entered within STEP_UP_MINUTES. Tokens are not accepted.',
  ],
];

/** A server whose sessions are also valid for its subdomains. */
const subdomains: Parameters<typeof startServer>[0] = {
  publicUrl: 'https://auth.example.com:0',
  secureCookies: true,
  cookieName: '__Host-doorman',
  cookieDomain: 'example.com',
  trustedProxies: ['127.0.0.1'],
};

/** The callers whose session or token has ended. */
const endedCallers = furtherCallers.filter(({ isEnded }) => isEnded);

test.each(operations)(
  '$method $path has exactly the callers and responses that the document lists',
  async (operation) => {
    const audience: Standing[] = [];
    const seen = new Set<string>();
    const messages = new Set<string>();
    const check = async (server: TestServer, sent: Sent) => {
      const answer = await send(server, operation, sent);
      // The caller goes on with the cookies of a session that got a new secret.
      if (sent.headers?.cookie && /_session=[^;]/.test(cookieOf(answer))) sent.headers.cookie = cookieOf(answer);
      expectDocumented(operation, answer);
      const { code = 'OK', message = '' } = answer.body as { code?: string; message?: string };
      seen.add(`${answer.status} ${code}`);
      messages.add(comparable(message));
      return answer;
    };

    // Wrong and changed passwords would affect the next caller. Everything else can share a server.
    const takesPassword = wrongPassword(operation) !== null;
    await using shared = await startOwnServer();
    const withServer = async (replay: (server: TestServer) => Promise<void>) => {
      if (!takesPassword) return replay(shared);
      await using server = await startOwnServer();
      await replay(server);
    };

    for (const { standing, arrive } of callers) {
      await withServer(async (server) => {
        const headers = await arrive(server);
        const isAllowed = standing === 'fresh session';
        for (const sent of badRequests(operation, { headers, all: isAllowed })) {
          const { status } = await check(server, sent);
          const expected = sent.headers?.origin ? [403] : [400, 413, 415];
          if (isAllowed) expect([status, sent]).toEqual([expect.toBeOneOf(expected), sent]);
        }
        const good = await request(server, operation, headers);
        const { status } = await check(server, good);
        if (status === 200) audience.push(standing);
        // Again, because its target may be gone now. Then with an id that is not one.
        await check(server, good);
        if (good.id) await check(server, { headers, id: 'no-id' });
        const body = wrongPassword(operation);
        // One more than the throttle allows.
        const tries = Array.from({ length: body ? server.config.loginMaxFailures + 1 : 0 });
        for (const _ of tries) await check(server, { headers, ...(body ? { body } : {}) });
      });
    }
    for (const { arrive } of endedCallers) {
      await withServer(async (server) => {
        await check(server, await request(server, operation, await arrive(server)));
      });
    }
    if (takesPassword) {
      await replaySetByEnvironment(operation, check);
      await replayCrowd(operation, check);
    }
    await withServer((server) => replayDatabaseFailures(server, operation, check));

    const { security, description = '' } = operation;
    const words = description.split('\n\n').at(-2);
    expect(audiences.find(([standings]) => standings.join() === audience.join())).toEqual([audience, security, words]);

    const documented = Object.entries(operation.responses ?? {}).flatMap(([status, response]) =>
      errorExamples(response).map(({ code, message }) => ({
        outcome: `${status} ${code}`,
        message: comparable(message),
      })),
    );
    const outcomes = new Set(['200 OK', ...documented.map(({ outcome }) => outcome)]);
    expect([...seen].sort()).toEqual([...outcomes].sort());
    // Every example of an error was returned word for word.
    expect(documented.filter(({ message }) => !messages.has(message))).toEqual([]);
  },
);

describe('GET /auth/verify', () => {
  const verify = everyOperation.find(isForwardAuth) ?? expect.fail('it is not in the document');
  const navigation = {
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
    'x-forwarded-method': 'GET',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'localhost:9000',
    'x-forwarded-uri': '/albums?year=2026',
  };

  test('has exactly the responses that the document lists', async () => {
    const seen = new Map<number, Set<string>>();
    const check = async (server: TestServer, headers: Headers, query = '') => {
      const answer = await sendRaw(server.url, `GET /api/v1/auth/verify${query}`, { headers });
      const { status } = answer;
      const names = expectVerifyDocumented(verify, answer);
      seen.set(status, (seen.get(status) ?? new Set()).union(names));
      return status;
    };

    const passing: Standing[] = [];
    for (const { standing, arrive } of [...callers, ...endedCallers]) {
      await using server = await startOwnServer({ trustedProxies: ['127.0.0.1'], operatorEmail: 'me@example.com' });
      const headers = await arrive(server);
      if ((await check(server, headers)) === 204) passing.push(standing);
      // Other fields in the query string are ignored.
      for (const query of ['?basic=1', '?redirect=1', '?verbose=1&verbose=2']) {
        await check(server, headers, query);
        await check(server, { ...headers, ...navigation }, query);
      }
      if (standing !== 'fresh session') continue;
      await using database = await openElsewhere(server);
      server.advance(2000);
      await database.run('alter table backchannel_sessions rename to elsewhere');
      expect(await check(server, headers)).toBe(500);
      await database.run('alter table elsewhere rename to backchannel_sessions');
      const torn = await tearTable(server, 'sessions');
      expect(await check(server, headers)).toBe(503);
      await torn.mend();
    }
    expect(passing).toEqual(['stale session', 'fresh session', 'proxy token']);

    const documented = Object.entries(verify.responses ?? {}).map(([status, response]) => {
      const { headers = {} } = follow(response);
      return [status, Object.keys(headers).sort()];
    });
    expect([...seen].sort().map(([status, headers]) => [String(status), [...headers].sort()])).toEqual(documented);
  });

  test('accepts each of the schemes that it names, and those that it describes in words', async () => {
    await using server = await startServer(subdomains);
    const signedIn = await post(server, '/auth/login', { password: PASSWORD });
    const cookieOf = (name: string) =>
      signedIn.headers['set-cookie']?.find((line) => line.startsWith(`${name}=`)) ?? '';
    const [session = ''] = cookieOf('__Host-doorman').split(';');
    const [pass = ''] = cookieOf('__Secure-doorman_pass').split(';');
    const made = await post(server, '/auth/tokens', { name: 'x', scope: 'proxy' }, { cookie: session });
    const { secret } = made.json;
    const shown: Record<string, Headers> = {
      session: { cookie: session },
      pass: { cookie: pass },
      token: { authorization: `Bearer ${secret}` },
    };
    const inWords: Record<string, Headers> = {
      basic: { authorization: `Basic ${btoa(`anybody:${secret}`)}` },
      tokenHeader: { 'X-Backchannel-Token': secret },
    };
    const { json: body } = await sendRaw(server.url, 'GET /openapi.json');
    const schemes = body.paths['/auth/verify'].get.security.flatMap(Object.keys);
    expect(schemes).toEqual(Object.keys(shown));
    for (const [scheme, headers] of Object.entries({ ...shown, ...inWords })) {
      const { status } = await sendRaw(server.url, 'GET /api/v1/auth/verify', { headers });
      expect([scheme, status]).toEqual([scheme, 204]);
    }
  });
});

function post(server: TestServer, path: string, input: object, headers: Headers = {}): Promise<RawAnswer> {
  const body = JSON.stringify(input);
  return sendRaw(server.url, `POST /api/v1${path}`, {
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

/** The headers of forward-auth that matter to a proxy. */
const meaningful = /^(remote-|x-auth-|location$|www-authenticate$|retry-after$|set-cookie$|allow$)/i;

/** Fails unless the document has this response of forward-auth. Returns the names of its documented headers. */
function expectVerifyDocumented(operation: Operation, { status, headers, text, json }: RawAnswer): Set<string> {
  const at = `${pointerOf(operation)}/responses/${status}`;
  const response = lookUp(at);
  expect(response, `${status} ${text}`).toBeDefined();
  const { headers: documented = {}, content } = follow(response);
  if (content) expect(problems(`${pointerTo(response, at)}/content/application~1json/schema`, json)).toEqual([]);
  else expect(text).toBe('');
  const names = new Map(Object.keys(documented).map((name) => [name.toLowerCase(), name]));
  const sent = Object.keys(headers).filter((name) => meaningful.test(name));
  expect(sent.filter((name) => !names.has(name))).toEqual([]);
  for (const [name, header] of Object.entries(documented) as [string, oas31.HeaderObject][]) {
    const [value] = headers[name.toLowerCase()] ?? [];
    if (value === undefined) expect([status, name, header.required ?? false]).toEqual([status, name, false]);
    else if (name !== 'Retry-After') {
      expect(problems(`${pointerTo(response, at)}/headers/${name}/schema`, value), name).toEqual([]);
    }
  }
  return new Set(sent.map((name) => names.get(name) ?? name));
}

/** The response, resolved if it is a reference, and its pointer. */
const pointerTo = (response: unknown, at: string): string =>
  typeof response === 'object' && response !== null && '$ref' in response ? String(response.$ref) : at;
const follow = (response: unknown): oas31.ResponseObject =>
  (pointerTo(response, '') === '' ? response : lookUp(pointerTo(response, ''))) as oas31.ResponseObject;

test('the shell commands in the prose work as they stand', async (context) => {
  const run = promisify(execFile);
  const { PATH = '' } = process.env;
  const isThere = await run('bash', ['-c', 'command -v curl'], { env: { PATH } }).catch(() => null);
  if (!isThere) return context.skip('skipped: no bash with curl here');
  await using server = await startOwnServer();
  const prose = document.info.description ?? '';
  const [first = '', second = '', ...more] = [...prose.matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  expect(more).toEqual([]);
  const cwd = mkdtempSync(join(tmpdir(), 'backchannel-test-'));
  const say = async (block: string, secret = '') => {
    const script = block
      .replaceAll('http://localhost:8000', server.url)
      .replaceAll('YOUR PASSWORD', OWN_PASSWORD)
      .replaceAll('bct_YOUR_SECRET', secret)
      .replaceAll('curl ', 'curl -sS --fail -w "\\n" ');
    const { stdout } = await run('bash', ['-euc', script], { cwd, env: { PATH } });
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  try {
    expect(await say(first)).toMatchObject([{ authenticated: true }, { method: 'session' }]);
    const [make = '', use = '', ...rest] = second.trim().split('\n');
    expect(rest).toEqual([]);
    const [made] = await say(make);
    expect(made).toMatchObject({ token: { scope: 'read' }, secret: expect.stringMatching(/^bct_/) });
    expect(await say(use, made.secret)).toMatchObject([{ method: 'token', token: { id: made.token.id } }]);
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
});

interface Sent {
  headers?: Headers;
  query?: string;
  /** Replaces the path's own example. */
  id?: string;
  /** The request body. By default, the operation's own example. */
  body?: string;
}

interface Received {
  status: number;
  headers: globalThis.Headers;
  body: unknown;
}

type Check = (server: TestServer, sent: Sent) => Promise<Received>;

async function send(server: TestServer, operation: Operation, sent: Sent): Promise<Received> {
  const { headers = {}, query = '', id = 'nothing', body = exampleBody(operation) } = sent;
  const response = await fetch(`${server.url}/api/v1${operation.path.replace('{id}', id)}${query}`, {
    method: operation.method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body ?? null,
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** The operation's own example, with the id of something that exists. */
async function request(server: TestServer, operation: Operation, headers: Headers): Promise<Sent> {
  if (operation.path === '/auth/sessions/{id}') return { headers, id: (await openSession(server)).id };
  if (operation.path === '/auth/tokens/{id}') return { headers, id: (await makeToken(server, 'read')).id };
  return { headers };
}

function exampleBody({ requestBody }: Operation): string | undefined {
  if (!requestBody || '$ref' in requestBody) return undefined;
  return JSON.stringify(requestBody.content['application/json']?.example);
}

function parametersOf({ parameters = [] }: Operation): oas31.ParameterObject[] {
  return parameters.filter((parameter): parameter is oas31.ParameterObject => 'in' in parameter);
}

/** Invalid requests: all of them, or one of each kind. */
function badRequests(operation: Operation, options: { headers: Headers; all: boolean }): Sent[] {
  const { headers, all } = options;
  const queries = ['?verbose=1', '?verbose=1&verbose=2', ...(all ? badQueries(operation) : [])];
  const reads = queries.map((query): Sent => ({ headers, query }));
  if (operation.method === 'GET') return reads;
  const bodies = ['{', '[]', 'null', '5', '{"verbose":true}', ...(all ? badBodies(operation) : [])];
  return [
    ...reads,
    ...bodies.map((body): Sent => ({ headers, body })),
    { headers: { ...headers, 'content-type': 'text/plain' }, body: 'password=admin123' },
    { headers: { ...headers, 'content-encoding': 'gzip' }, body: '{}' },
    // Requests with a bearer token are exempt.
    ...(headers.authorization ? [] : [{ headers: { ...headers, origin: 'https://elsewhere.example' } }]),
    { headers, body: JSON.stringify({ password: 'x'.repeat(65_536) }) },
  ];
}

/** The operation's example with each field left out, and with each field replaced by invalid values. */
function badBodies(operation: Operation): string[] {
  const text = exampleBody(operation);
  if (text === undefined) return [];
  const example: Record<string, unknown> = JSON.parse(text);
  const at = `${pointerOf(operation)}/requestBody/content/application~1json/schema`;
  const more = { ...example, verbose: true };
  expect(problems(at, more), named(operation)).not.toEqual([]);
  const bodies = Object.keys(example).flatMap((field) => [
    ...[5, 0, -1, 1.5, 'true', '', null, [], [''], {}, true, 'x\0'].map((value) => ({ ...example, [field]: value })),
    Object.fromEntries(Object.entries(example).filter(([name]) => name !== field)),
  ]);
  // Rules that a schema cannot express: bytes and lone surrogates.
  const passwords = ['x\0', 'ü'.repeat(40)].flatMap((value) =>
    ['password', 'current', 'new'].filter((field) => field in example).map((field) => ({ ...example, [field]: value })),
  );
  return [more, ...bodies.filter((body) => problems(at, body).length > 0), ...passwords].map((body) =>
    JSON.stringify(body),
  );
}

/** Each parameter twice, and with invalid values. */
function badQueries(operation: Operation): string[] {
  const inQuery = parametersOf(operation).filter((parameter) => parameter.in === 'query');
  return inQuery.flatMap(({ name, schema }) => {
    const isInteger = schema && 'type' in schema && schema.type === 'integer';
    const values = ['', 'five', '5.0', '1e1', '0', '101', '-5', 'X'.repeat(24)];
    const index = parametersOf(operation).findIndex((parameter) => parameter.name === name);
    const at = `${pointerOf(operation)}/parameters/${index}/schema`;
    const read = (value: string) => (isInteger && /^-?\d+$/.test(value) ? Number(value) : value);
    const bad = values.filter((value) => problems(at, read(value)).length > 0);
    expect(bad.length, name).toBeGreaterThan(4);
    return [...bad.map((value) => `?${name}=${value}`), `?${name}=5&${name}=5`];
  });
}

/** The body with a wrong password, if it has a password. */
function wrongPassword(operation: Operation): string | null {
  const example: Record<string, unknown> = JSON.parse(exampleBody(operation) ?? '{}');
  const field = ['current', 'password'].find((name) => name in example);
  return field === undefined ? null : JSON.stringify({ ...example, [field]: 'wrong' });
}

/** Calls it as the operator while the environment sets the password. */
async function replaySetByEnvironment(operation: Operation, check: Check): Promise<void> {
  await using server = await startServer({ password: { from: 'MASTER_PASSWORD', plain: OWN_PASSWORD } });
  const { headers } = await openSession(server);
  await check(server, await request(server, operation, headers));
}

/** Calls it as the operator while the maximum number of passwords waits. */
async function replayCrowd(_operation: Operation, check: Check): Promise<void> {
  await using server = await startOwnServer(oneAtATime);
  const { headers } = await openSession(server);
  const occupied = await occupyPasswordCheck(server, OWN_PASSWORD);
  const isTurnedAway = Promise.withResolvers<void>();
  const crowd = Array.from({ length: 17 }, async () => {
    const { status } = await check(server, { headers });
    if (status === 503) isTurnedAway.resolve();
  });
  await isTurnedAway.promise;
  await occupied.release();
  await Promise.all(crowd);
}

/** Calls it as the operator while the database fails: first in an unexpected way, then in a temporary one. */
async function replayDatabaseFailures(server: TestServer, _operation: Operation, check: Check): Promise<void> {
  const { headers } = await openSession(server);
  await using database = await openElsewhere(server);
  server.advance(2000);
  await database.run('alter table backchannel_sessions rename to elsewhere');
  expect((await check(server, { headers })).status).toBe(500);
  await database.run('alter table elsewhere rename to backchannel_sessions');
  const torn = await tearTable(server, 'sessions');
  server.advance(2000);
  expect((await check(server, { headers })).status).toBe(503);
  await torn.mend();
}

/** An error's message without its variable parts. */
const comparable = (message: string) => message.replace(/\d+ s\b/, '30 s').replace(/(MASTER_PASSWORD_HASH=).*/, '$1');

/** The examples of an error response. Empty for other responses. */
function errorExamples(response: unknown): { code: string; message: string }[] {
  const reference = typeof response === 'object' && response !== null && '$ref' in response ? response.$ref : null;
  if (reference === null) return [];
  const { content } = lookUp(String(reference)) as oas31.ResponseObject;
  const { example, examples = {} } = content?.['application/json'] ?? {};
  const all = example === undefined ? Object.values(examples).map((each) => 'value' in each && each.value) : [example];
  return all as { code: string; message: string }[];
}

const pointerOf = ({ method, path }: Operation) => `#/paths/${escapePointer(path)}/${method.toLowerCase()}`;

/** Fails unless the document has this status for the operation, with this body and these headers. */
function expectDocumented(operation: Operation, answer: Received): void {
  const { status, headers, body } = answer;
  const at = `${pointerOf(operation)}/responses/${status}`;
  const what = `${named(operation)} ${status} ${JSON.stringify(body)}`;
  const response = lookUp(at) as (oas31.ResponseObject & { $ref?: string }) | undefined;
  expect(response, what).toBeDefined();
  const pointer = response?.$ref ?? at;
  const { headers: documented = {} } = lookUp(pointer) as oas31.ResponseObject;
  expect(headers.get('content-type'), what).toBe('application/json; charset=utf-8');
  expect(problems(`${pointer}/content/application~1json/schema`, body), what).toEqual([]);
  expect(headers.has('Retry-After'), what).toBe('Retry-After' in documented);
  // Signing out clears the cookie first, so later errors have the header, too.
  if (status >= 400) return;
  const { required = false, examples = {} } = (documented['Set-Cookie'] ?? {}) as oas31.HeaderObject;
  const cookies = Object.values(examples).map((each) => ('value' in each ? cookieShape(String(each.value)) : ''));
  const set = headers.getSetCookie().map(cookieShape);
  expect(set, what).toEqual(set.length > 0 || required ? cookies : []);
}

/** A Set-Cookie line without its variable parts. */
const cookieShape = (line: string) => line.replace(/=.*?;/, '=…;').replace(/Max-Age=[1-9]\d*/, 'Max-Age=…');

const validators = new Map<string, ValidateFunction>();

/** Validates a value against the schema at a pointer in the document. Returns the problems. */
function problems(pointer: string, value: unknown): string[] {
  const validate = validators.get(pointer) ?? ajv.compile({ $ref: `document${pointer}` });
  validators.set(pointer, validate);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

function lookUp(pointer: string): unknown {
  return pointer
    .slice(2)
    .split('/')
    .reduce<unknown>((value, name) => {
      const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
      return typeof value === 'object' && value !== null
        ? Object.getOwnPropertyDescriptor(value, key)?.value
        : undefined;
    }, document);
}

const escapePointer = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1');

/** Every example in the document, with the pointer to its schema. */
function findExamples(value: unknown, at: string): { pointer: string; value: unknown }[] {
  if (typeof value !== 'object' || value === null) return [];
  const { example, examples, schema } = value as Record<string, unknown>;
  const own = [
    ...(example === undefined ? [] : [{ pointer: `${at}/schema`, value: example }]),
    ...(Array.isArray(examples) ? examples.map((each: unknown) => ({ pointer: at, value: each })) : []),
    ...(schema && examples
      ? Object.values(examples as Record<string, { value: unknown }>).map((each) => ({
          pointer: `${at}/schema`,
          value: each.value,
        }))
      : []),
  ];
  const below = Object.entries(value)
    .filter(([name]) => name !== 'example' && name !== 'examples')
    .flatMap(([name, part]) => findExamples(part, `${at}/${escapePointer(name)}`));
  return [...own, ...below];
}

interface Field {
  name: string;
  pointer: string;
  schema: oas31.SchemaObject;
}

/** Every field of an object and every parameter in the document, with its schema. */
function* findFields(value: unknown, at: string): Generator<Field> {
  if (typeof value !== 'object' || value === null) return;
  const { name, schema, properties } = value as { name?: string; schema?: Field['schema']; properties?: object };
  if (name !== undefined && schema) yield { name, pointer: at, schema };
  for (const [name, schema] of Object.entries(properties ?? {})) yield { name, pointer: `${at}/${name}`, schema };
  for (const [name, part] of Object.entries(value)) {
    if (!name.startsWith('example')) yield* findFields(part, `${at}/${escapePointer(name)}`);
  }
}

/** Every schema of an object in the document. */
function findObjects(value: unknown, at: string): { pointer: string; schema: oas31.SchemaObject }[] {
  if (typeof value !== 'object' || value === null) return [];
  const schema = value as oas31.SchemaObject;
  const own = schema.type === 'object' || (Array.isArray(schema.type) && schema.type.includes('object'));
  return [
    ...(own ? [{ pointer: at, schema }] : []),
    ...Object.entries(value).flatMap(([name, part]) => findObjects(part, `${at}/${escapePointer(name)}`)),
  ];
}

/** Finds coercions in all schemas within a value. */
function findCoercions(value: unknown, where: string, seen = new Set<unknown>()): string[] {
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  const def = '_zod' in value ? (value._zod as { def: Record<string, unknown> }).def : value;
  const converts = 'coerce' in def && def.coerce === true;
  const isTransform = 'type' in def && ['transform', 'pipe', 'date'].includes(String(def.type));
  return [
    ...(converts || isTransform ? [where] : []),
    ...Object.entries(def).flatMap(([name, part]) => findCoercions(part, `${where}.${name}`, seen)),
  ];
}
