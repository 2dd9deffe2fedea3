import { describe, expect, test, vi } from 'vitest';
import { type BackchannelError, createBackchannelClient, type RetryOptions } from '../src/index.ts';
import { createRetries } from '../src/retry.ts';
import { failureOf, openStandIn } from './stand-in.ts';

const signedOut = { result: { data: { authenticated: false, expiresAt: null } } };

function rejection(status: 429 | 503, retryAfterSeconds?: number) {
  const code = status === 503 ? 'SERVICE_UNAVAILABLE' : 'TOO_MANY_REQUESTS';
  const data = { code, httpStatus: status, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
  return { error: { message: 'Busy.', code: -32603, data } };
}

type Answer = [status: number, body: unknown, headers?: Record<string, string>];

/** Gives these responses one after another, and the last one to all later requests. */
function openStandInWith(...answers: [Answer, ...Answer[]]) {
  let next = 0;
  return openStandIn((_req, res) => {
    const [status, body, headers] = answers[Math.min(next++, answers.length - 1)] ?? answers[0];
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text);
  });
}

test.each<[string, Answer]>([
  ['503', [503, rejection(503), { 'Retry-After': '0' }]],
  ['429', [429, rejection(429), { 'Retry-After': '0' }]],
  ["a proxy's 503", [503, '<h1>Service Unavailable</h1>', { 'Retry-After': '0' }]],
  ['503 with Retry-After only in the body', [503, rejection(503, 0)]],
  ['503 without Retry-After', [503, rejection(503)]],
])('a rejected query is retried, and the caller sees only the final response: %s', async (_, busy) => {
  await using server = await openStandInWith(busy, [200, signedOut]);
  const bc = createBackchannelClient({ url: server.url });
  expect(await bc.auth.status.query()).toEqual({ authenticated: false, expiresAt: null });
  expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
});

test('a mutation is sent only once', async () => {
  await using server = await openStandInWith([503, rejection(503, 0)], [200, signedOut]);
  const bc = createBackchannelClient({ url: server.url });
  expect(await failureOf(bc.auth.logout.mutate())).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(server.requests).toHaveLength(1);
});

test.each<[string, Answer]>([
  [
    '500',
    [500, { error: { message: 'Oops.', code: -32603, data: { code: 'INTERNAL_SERVER_ERROR', httpStatus: 500 } } }],
  ],
  ['401', [401, { error: { message: 'No.', code: -32001, data: { code: 'UNAUTHORIZED', httpStatus: 401 } } }]],
  ["a proxy's 502", [502, '<h1>Bad Gateway</h1>']],
  ['a redirect', [302, '', { Location: '/elsewhere' }]],
])('a response that does not mean "later" is not retried: %s', async (_, answer) => {
  await using server = await openStandInWith(answer);
  await failureOf(createBackchannelClient({ url: server.url }).auth.status.query());
  expect(server.requests).toHaveLength(1);
});

test('a server that cannot be reached, or that hangs up, is not tried again', async () => {
  await using server = await openStandIn((_req, res) => res.destroy());
  expect(await failureOf(createBackchannelClient({ url: server.url }).auth.status.query())).toMatchObject({
    code: 'UNREACHABLE',
  });
  expect(server.requests).toHaveLength(1);
});

test.each<[retry: RetryOptions | false | undefined, sent: number]>([
  [undefined, 3],
  [{ maxAttempts: 5 }, 5],
  [{ maxAttempts: 1 }, 1],
  [false, 1],
])('attempts are limited, and the caller gets the last response: %j', async (retry, sent) => {
  await using server = await openStandInWith([503, rejection(503, 0), { 'Retry-After': '0' }]);
  // A random wait would take most of this test's time.
  const random = vi.spyOn(Math, 'random').mockReturnValue(0);
  try {
    const bc = createBackchannelClient({ url: server.url, ...(retry === undefined ? {} : { retry }) });
    expect(await failureOf(bc.auth.status.query())).toMatchObject({ code: 'SERVICE_UNAVAILABLE', status: 503 });
    expect(server.requests).toHaveLength(sent);
  } finally {
    random.mockRestore();
  }
});

test('a wait longer than maxWaitMs fails at once, and the error has the time to wait', async () => {
  await using server = await openStandInWith([429, rejection(429, 30), { 'Retry-After': '30' }]);
  const bc = createBackchannelClient({ url: server.url });
  expect(await failureOf(bc.auth.status.query())).toMatchObject({ code: 'TOO_MANY_REQUESTS', retryAfterSeconds: 30 });
  expect(server.requests).toHaveLength(1);
});

test('a wait longer than timeoutMs fails at once with the response, which says more than a timeout', async () => {
  await using server = await openStandInWith([503, rejection(503, 8)]);
  const bc = createBackchannelClient({ url: server.url, timeoutMs: 5_000 });
  const error = (await failureOf(bc.auth.status.query())) as BackchannelError;
  expect(error).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterSeconds: 8 });
});

test('a call that is aborted during a wait is ABORTED, and nothing more is sent', async () => {
  const leaving = new AbortController();
  await using server = await openStandInWith([503, rejection(503, 9)]);
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await globalThis.fetch(input, init);
    const text = await response.text();
    // The response has been read, so the wait has begun.
    setTimeout(() => leaving.abort(new Error('the user left')));
    return new Response(text, response);
  };
  const bc = createBackchannelClient({ url: server.url, fetch });
  const error = await failureOf(bc.auth.status.query(undefined, { signal: leaving.signal }));
  expect(error).toMatchObject({ code: 'ABORTED', cause: { message: 'the user left' } });
  expect(server.requests).toHaveLength(1);
});

describe('waits', () => {
  test('are never shorter than Retry-After, and randomly a little longer', () => {
    for (const [random, shortest] of [
      [0, 2000],
      [0.5, 2250],
    ] as const) {
      vi.spyOn(Math, 'random').mockReturnValueOnce(random);
      expect(createRetries({})()(2)).toBe(shortest);
    }
  });

  test('double without Retry-After', () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(0);
    const next = createRetries({ maxAttempts: 4 })();
    expect([next(null), next(null), next(null), next(null)]).toEqual([250, 500, 1000, null]);
    random.mockRestore();
  });

  test('stay within maxWaitMs in total, separately for each call', () => {
    const start = createRetries({ maxAttempts: 10, maxWaitMs: 5_000 });
    for (const next of [start(), start()]) {
      const waits = [next(2), next(2), next(2)];
      expect(waits[2]).toBe(null);
      expect(Number(waits[0]) + Number(waits[1])).toBeLessThanOrEqual(5_000);
      expect(next(0)).not.toBe(null);
    }
  });
});

test.each([
  { maxAttempts: 0 },
  { maxAttempts: 1.5 },
  { maxAttempts: 11 },
  { maxWaitMs: -1 },
  { maxWaitMs: Number.NaN },
])('an invalid retry option is rejected at once: %j', (retry) => {
  expect(() => createBackchannelClient({ url: 'http://backchannel.test', retry })).toThrow(
    /^retry\.max\w+: must be a /,
  );
});
