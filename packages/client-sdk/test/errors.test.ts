import { isTRPCClientError } from '@trpc/client';
import { expect, test } from 'vitest';
import { startServer } from '../../server/test/support/harness.ts';
import { BackchannelError, createBackchannelClient } from '../src/index.ts';
import { failureOf, openStandIn, openStandInFor } from './stand-in.ts';

/** The error of a status query at this address. */
async function failureAt(url: string, options: { timeoutMs?: number; retry?: false } = {}): Promise<BackchannelError> {
  const error = await failureOf(createBackchannelClient({ url, ...options }).auth.me.query());
  expect(error).toBeInstanceOf(BackchannelError);
  return error as BackchannelError;
}

const facts = ({ code, status, issues, retryAfterSeconds }: BackchannelError) => ({
  code,
  status,
  issues,
  retryAfterSeconds,
});

test('a wrong password is UNAUTHORIZED', async () => {
  await using server = await startServer();
  const bc = createBackchannelClient({ url: server.url });
  const error = await failureOf(bc.auth.login.mutate({ password: 'not this one' }));
  expect(error).toBeInstanceOf(BackchannelError);
  expect(error).toMatchObject({
    name: 'BackchannelError',
    message: 'Wrong password.',
    code: 'UNAUTHORIZED',
    status: 401,
    issues: [],
    retryAfterSeconds: null,
  });
});

test('an error for invalid input names each field', async () => {
  await using server = await startServer();
  const bc = createBackchannelClient({ url: server.url });
  const error = await failureOf(bc.auth.login.mutate({ password: 5, user: 'x' } as never));
  expect(error).toBeInstanceOf(BackchannelError);
  expect(error).toMatchObject({ code: 'BAD_REQUEST', status: 400 });
  const { issues } = error as BackchannelError;
  expect(issues.map(({ path }) => path).sort()).toEqual(['password', 'user']);
  expect(issues).toContainEqual({ path: 'user', message: 'Unknown field.' });
});

test('input that cannot be converted to JSON is BAD_REQUEST and is never sent', async () => {
  await using server = await openStandInFor(200, {});
  const bc = createBackchannelClient({ url: server.url });
  const error = await failureOf(bc.auth.login.mutate({ password: 1n } as never));
  expect(error).toBeInstanceOf(BackchannelError);
  expect(error).toMatchObject({ code: 'BAD_REQUEST', status: null, cause: expect.any(TypeError) });
  expect(server.requests).toEqual([]);
});

test('an unknown procedure is NOT_FOUND', async () => {
  await using server = await startServer();
  const bc = createBackchannelClient({ url: server.url }) as unknown as { nope: { query(): Promise<unknown> } };
  const error = await failureOf(bc.nope.query());
  expect(error).toBeInstanceOf(BackchannelError);
  expect(error).toMatchObject({ code: 'NOT_FOUND', status: 404 });
});

test('an error from a busy server has the time to wait', async () => {
  const data = { code: 'SERVICE_UNAVAILABLE', httpStatus: 503, retryAfterSeconds: 7 };
  await using server = await openStandInFor(503, { error: { message: 'Busy.', code: -32603, data } });
  const error = await failureAt(server.url, { retry: false });
  expect(error.message).toBe('Busy.');
  expect(facts(error)).toEqual({ code: 'SERVICE_UNAVAILABLE', status: 503, issues: [], retryAfterSeconds: 7 });
});

test('a stopped server is UNREACHABLE, and the message has the address and the reason', async () => {
  const server = await openStandInFor(200, {});
  await server[Symbol.asyncDispose]();
  const error = await failureAt(server.url);
  expect(facts(error)).toEqual({ code: 'UNREACHABLE', status: null, issues: [], retryAfterSeconds: null });
  expect(error.message).toBe(`${server.url} cannot be reached: ECONNREFUSED.`);
  expect(error.cause).toBeInstanceOf(TypeError);
});

test('a server that hangs up in the middle of a response is UNREACHABLE', async () => {
  await using server = await openStandIn((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
    res.write('{"result":', () => res.destroy());
  });
  expect(await failureAt(server.url)).toMatchObject({ code: 'UNREACHABLE', status: null });
});

test("a proxy's page is UNEXPECTED_ANSWER with its status", async () => {
  const html = { 'Content-Type': 'text/html; charset=utf-8', 'Retry-After': '30' };
  await using server = await openStandInFor(502, '<h1>Bad Gateway</h1>', html);
  const error = await failureAt(server.url);
  expect(facts(error)).toEqual({ code: 'UNEXPECTED_ANSWER', status: 502, issues: [], retryAfterSeconds: 30 });
  expect(error.message).toContain(`${server.url} responded 502 (text/html)`);
});

test('a date in Retry-After becomes seconds', async () => {
  const inAMinute = new Date(Date.now() + 60_000).toUTCString();
  await using server = await openStandInFor(503, '', { 'Retry-After': inAMinute });
  const { retryAfterSeconds } = await failureAt(server.url);
  expect(retryAfterSeconds).toBeGreaterThan(50);
  expect(retryAfterSeconds).toBeLessThanOrEqual(60);
});

test.each<[string, unknown]>([
  ['an empty body', ''],
  ['null', null],
  ['another API', { status: 'ok' }],
  ['another API’s error', { error: 'unauthorized' }],
  ['another tRPC server’s error', { error: { message: 'no', code: -32001, data: null } }],
  ['a result that is not an object', { result: 5 }],
  ['a list', [{ result: { data: 1 } }]],
])('a response that is not from BackChannel is UNEXPECTED_ANSWER: %s', async (_, body) => {
  await using server = await openStandInFor(200, body);
  expect(facts(await failureAt(server.url))).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 200 });
});

test('a redirect is reported, and neither followed nor given the cookie', async () => {
  await using elsewhere = await openStandInFor(200, { result: { data: {} } });
  await using server = await openStandInFor(307, '', {
    Location: `${elsewhere.url}/login?next=secret`,
    'Set-Cookie': 'a=1; Path=/',
  });
  const error = await failureAt(server.url);
  expect(facts(error)).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 307 });
  expect(error.message).toContain(`redirects to ${elsewhere.url}/login. Set `);
  expect(elsewhere.requests).toEqual([]);
});

test.each([
  ['no response', false],
  ['an incomplete response', true],
])('a call that exceeds timeoutMs is TIMEOUT: %s', async (_, begins) => {
  await using server = await openStandIn((_req, res) => {
    if (begins) res.writeHead(200, { 'Content-Type': 'application/json' }).write('{');
  });
  const error = await failureAt(server.url, { timeoutMs: 50 });
  expect(facts(error)).toEqual({ code: 'TIMEOUT', status: null, issues: [], retryAfterSeconds: null });
  expect(error.message).toBe(`${server.url} did not respond within 50 ms.`);
});

test("a call that the caller aborts is ABORTED with the caller's reason", async () => {
  const leaving = new AbortController();
  await using server = await openStandIn(() => leaving.abort(new Error('the user left')));
  const bc = createBackchannelClient({ url: server.url, timeoutMs: Number.POSITIVE_INFINITY });
  for (const call of [bc.auth.me.query, bc.auth.logout.mutate]) {
    // The first call is cut off on its way. The second is never sent.
    const error = await failureOf(call(undefined, { signal: leaving.signal }));
    expect(error).toBeInstanceOf(BackchannelError);
    expect(error).toMatchObject({ code: 'ABORTED', status: null, cause: { message: 'the user left' } });
  }
  expect(server.requests).toHaveLength(1);
});

test("a caller's AbortSignal.timeout() is a TIMEOUT too", async () => {
  await using server = await openStandIn(() => {});
  const bc = createBackchannelClient({ url: server.url });
  const error = await failureOf(bc.auth.me.query(undefined, { signal: AbortSignal.timeout(50) }));
  expect(error).toBeInstanceOf(BackchannelError);
  expect(error).toMatchObject({ code: 'TIMEOUT', cause: { name: 'TimeoutError' } });
});

test('an error from an injected fetch is UNREACHABLE, with that error as the cause', async () => {
  for (const thrown of [new RangeError('no route'), 'no route']) {
    const fetch = () => Promise.reject(thrown);
    const bc = createBackchannelClient({ url: 'http://backchannel.test', fetch });
    const error = await failureOf(bc.auth.me.query());
    expect(error).toBeInstanceOf(BackchannelError);
    expect(error).toMatchObject({ code: 'UNREACHABLE', cause: { message: 'no route' } });
  }
});

test('the error is also a TRPCClientError, and a log shows each fact once', async () => {
  await using server = await startServer();
  const error = await failureAt(server.url);
  expect(isTRPCClientError(error) && error.data).toEqual({ code: 'UNAUTHORIZED', httpStatus: 401 });
  expect(Object.keys(error)).toEqual(['code', 'status', 'issues', 'retryAfterSeconds']);
  expect('cause' in error).toBe(false);
});
