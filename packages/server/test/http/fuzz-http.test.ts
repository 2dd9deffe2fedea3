// Sends random input to every operation of both faces, without a credential and with the most powerful one. Every
// response has the API's shape and is never a server error. The input is random, but the same in each run.
// Runs on one engine: input is refused before it reaches the database.
import { describe, expect, test } from 'vitest';
import { amountOf } from '../support/amount.ts';
import { makeToken, openSession, startOwnServer } from '../support/callers.ts';
import { type Face, operations, readError, sendRaw, targetOf } from '../support/harness.ts';
import { createRandom } from '../support/random.ts';

const REQUESTS = amountOf({ sample: 30, long: 4000 });
const expectedStatuses = [200, 400, 401, 403, 404, 405, 409, 413, 415, 429, 503];

const fields = [
  ...['password', 'remember', 'current', 'new', 'revokeTokens', 'id', 'name', 'scope', 'hosts', 'expiresInDays'],
  ...['limit', 'cursor', 'type', 'input', 'batch', '0', '', '__proto__', 'constructor', 'toString', 'é\u0000"'],
];
const texts = [
  ...['admin123', 'read', 'full', 'proxy', 'login.failed', 'a'.repeat(24), 'nas.example', '5', 'true', 'null', ''],
  ...['x'.repeat(73), 'é'.repeat(40), '\u0000', '\ud800', '‮', "' or 1=1 --", '{}', '%00', '\r\n', '🦊'.repeat(30)],
];

function createInputs(seed: number) {
  const { below, pick } = createRandom(seed);
  const value = (depth: number): unknown => {
    const kind = below(depth > 3 ? 6 : 9);
    if (kind < 3) return pick(...texts);
    if (kind === 3) return pick(0, -1, 1, 5, 100, 101, 3651, 1.5, 1e308, Number.MAX_SAFE_INTEGER);
    if (kind === 4) return pick(true, false);
    if (kind === 5) return null;
    if (kind === 6) return Array.from({ length: below(4) }, () => value(depth + 1));
    return object(depth + 1);
  };
  const object = (depth: number): unknown =>
    Object.fromEntries(Array.from({ length: below(5) }, () => [pick(...fields), value(depth)]));
  /** Valid JSON, JSON with a missing or changed character, or random bytes. */
  const body = (): string | Buffer => {
    const json = JSON.stringify(below(10) === 0 ? value(0) : object(0));
    if (below(5) > 0) return json;
    if (below(2) === 0) return Buffer.from(Array.from({ length: below(80) }, () => below(256)));
    const at = below(json.length + 1);
    return json.slice(0, at) + pick('', '"', '}', '\\', ',', '\u0000') + json.slice(at + 1);
  };
  const query = (): string => {
    const pairs = Array.from(
      { length: below(3) },
      () => `${pick(...fields)}=${encodeURIComponent(safe(pick(...texts)))}`,
    );
    return pairs.length === 0 ? '' : `?${pairs.join('&').replace(/[^\x21-\x7e]/g, '%')}`;
  };
  const type = () => pick('application/json', 'application/json', 'application/json; charset=utf-8', 'text/plain', 'x');
  return { below, pick, body, query, type };
}

/** encodeURIComponent throws at a lone surrogate. */
const safe = (text: string) => text.toWellFormed();

describe.each<Face>(['REST', 'tRPC'])('%s', (face) => {
  test.each(operations)('$name responds to any input, and keeps working', async (operation) => {
    await using server = await startOwnServer();
    const { below, pick, body, query, type } = createInputs(operation.name.length * 7919 + face.length);
    const token = (await makeToken(server, 'full')).headers;
    for (let run = 0; run < REQUESTS; run++) {
      // Forget wrong passwords now and then. Otherwise the throttle would refuse everything.
      if (run % 10 === 0) await server.services.throttle.clear();
      const headers = pick<Record<string, string>>(
        {},
        token,
        run % 20 === 1 ? (await openSession(server)).headers : token,
      );
      const { method, path } = targetOf(face, operation);
      const sent = { body: body(), type: type(), query: query() };
      const isRead = method === 'GET';
      const answer = await sendRaw(server.url, `${method} ${path}${below(3) === 0 || isRead ? sent.query : ''}`, {
        headers: { ...headers, ...(isRead ? {} : { 'Content-Type': sent.type }) },
        ...(isRead ? {} : { body: sent.body }),
      });
      const seen = `${answer.status} to ${JSON.stringify({ ...sent, body: String(sent.body) })}`;
      expect(expectedStatuses, seen).toContain(answer.status);
      if (answer.status !== 200) expect(() => readError(face, answer.status, errorIn(answer.json)), seen).not.toThrow();
    }
    expect((await fetch(new URL('/healthz', server.url))).status).toBe(200);
  });
});

/** A batch responds with a list in which each error has the same shape. */
const errorIn = (body: unknown): unknown => {
  if (!Array.isArray(body)) return body;
  return body.find((each) => typeof each === 'object' && each !== null && 'error' in each) ?? body[0];
};
