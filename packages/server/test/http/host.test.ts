// A Host that is missing, repeated, invalid or not that of the target: two programs that read it differently would route to
// one host and judge for another.
// Runs on one engine: the Host is checked before the database is used.
import { afterAll, describe, expect, test } from 'vitest';
import { readError, sendBytes, sendRaw, startServer } from '../support/harness.ts';

const server = await startServer({ metricsPort: 0, trustedProxies: ['private'] });
afterAll(() => server[Symbol.asyncDispose]());
const client = server.client();
await client.signIn();

const metrics = server.metricsUrl ?? '';
const faces = [
  { face: 'REST', line: 'GET /api/v1/auth/me', valid: 200 },
  { face: 'REST, a write', line: 'POST /api/v1/auth/logout', valid: 200 },
  { face: 'tRPC', line: 'GET /trpc/auth.status', valid: 200 },
  { face: 'forward-auth', line: 'GET /api/v1/auth/verify', valid: 204 },
  { face: 'a page', line: 'GET /login', valid: 200 },
  { face: 'the document', line: 'GET /openapi.json', valid: 200 },
  { face: 'a probe', line: 'GET /healthz', valid: 200 },
  { face: 'no such path', line: 'GET /nothing', valid: 404 },
  { face: 'OPTIONS', line: 'OPTIONS /api/v1/auth/me', valid: 204 },
  { face: 'metrics', line: 'GET /metrics', valid: 200 },
] as const;
const urlOf = (face: string) => (face === 'metrics' ? metrics : server.url);
const message = 'A request needs exactly one valid Host header, which is the host of its address.';

/** The lines of the Host, and the host of a target in absolute form. */
interface Case {
  kind: string;
  hosts: string[];
  target?: string;
  version?: string;
}

async function send({ face, line }: { face: string; line: string }, { hosts, target = '', version = '1.1' }: Case) {
  const [method, path] = line.split(' ');
  const lines = [...hosts, `Cookie: ${method === 'POST' ? '' : client.cookie}`, 'Connection: close'];
  return sendBytes(urlOf(face), `${method} ${target}${path} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n`);
}

const refused: Case[] = [
  { kind: 'no Host', hosts: [] },
  { kind: 'two Hosts', hosts: ['Host: a.example', 'Host: b.example'] },
  { kind: 'the same Host twice', hosts: ['Host: a.example', 'Host: a.example'] },
  { kind: 'two Hosts in other letter cases', hosts: ['HOST: a.example', 'hOsT: b.example'] },
  { kind: 'two Hosts, one empty', hosts: ['Host: a.example', 'Host:'] },
  { kind: 'two Hosts in HTTP/1.0', hosts: ['Host: a.example', 'Host: b.example'], version: '1.0' },
  { kind: 'a list', hosts: ['Host: a.example, b.example'] },
  { kind: 'a list without a space', hosts: ['Host: a.example,b.example'] },
  { kind: 'a user', hosts: ['Host: a.example@b.example'] },
  { kind: 'a path', hosts: ['Host: a.example/b'] },
  { kind: 'a whole address', hosts: ['Host: http://a.example'] },
  { kind: 'a space', hosts: ['Host: a example'] },
  { kind: 'percent-encoding', hosts: ['Host: a%2eexample'] },
  { kind: 'a character beyond ASCII', hosts: ['Host: \u00fcber.example'] },
  { kind: 'a port of words', hosts: ['Host: a.example:port'] },
  { kind: 'a port that is too large', hosts: ['Host: a.example:65536'] },
  { kind: 'two ports', hosts: ['Host: a.example:80:80'] },
  { kind: 'half a bracket', hosts: ['Host: [::1'] },
  { kind: 'no address in brackets', hosts: ['Host: [::g]'] },
  { kind: 'IPv6 without brackets', hosts: ['Host: ::1'] },
  { kind: 'another host than the target', hosts: ['Host: a.example'], target: 'http://b.example' },
  { kind: 'another port than the target', hosts: ['Host: a.example:81'], target: 'http://a.example' },
  { kind: 'a target with a user', hosts: ['Host: a.example'], target: 'http://user@a.example' },
  { kind: 'no Host beside an absolute target', hosts: [], target: 'http://a.example' },
  { kind: 'an empty Host beside an absolute target', hosts: ['Host:'], target: 'http://a.example' },
];

describe.each(faces)('$face', ({ face, line }) => {
  test.each(refused)('$kind is 400 and closes the connection', async (each) => {
    const answer = await send({ face, line }, each);
    expect(answer.status).toBe(400);
    expect(answer.headers.connection).toEqual(['close']);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(readError(face === 'tRPC' ? 'tRPC' : 'REST', 400, answer.json)).toEqual({ code: 'BAD_REQUEST', message });
  });
});

const accepted: Case[] = [
  { kind: 'a name', hosts: ['Host: a.example'] },
  { kind: 'a name with a port', hosts: ['Host: a.example:8000'] },
  { kind: 'a name with an underscore, as containers have', hosts: ['Host: back_channel:8000'] },
  { kind: 'a name with a dot at its end', hosts: ['Host: a.example.'] },
  { kind: 'a name in capitals', hosts: ['hOST: A.Example'] },
  { kind: 'an empty port', hosts: ['Host: a.example:'] },
  { kind: 'IPv4', hosts: ['Host: 192.0.2.1:80'] },
  { kind: 'IPv6', hosts: ['Host: [2001:db8::1]:8000'] },
  { kind: 'an empty Host', hosts: ['Host:'] },
  { kind: 'no Host in HTTP/1.0', hosts: [], version: '1.0' },
  { kind: 'the Host of an absolute target', hosts: ['Host: A.example'], target: 'http://a.Example' },
  { kind: 'its default port', hosts: ['Host: a.example:80'], target: 'http://a.example' },
  { kind: 'the default port of https', hosts: ['Host: a.example'], target: 'https://a.example:443' },
];

describe.each(faces)('$face', ({ face, line, valid }) => {
  test.each(accepted)('$kind is accepted', async (each) => {
    expect((await send({ face, line }, each)).status).toBe(valid);
  });
});

describe('other headers that appear twice:', () => {
  const twice = (name: string, one: string, other: string) =>
    sendRaw(server.url, 'GET /api/v1/auth/me', {
      headers: [
        [name, one],
        [name, other],
      ],
    });

  test('of two Content-Lengths, none is believed', async () => {
    const answer = await sendRaw(server.url, 'POST /api/v1/auth/logout', {
      headers: [
        ['Content-Length', '0'],
        ['Content-Length', '2'],
      ],
      body: '{}',
    });
    expect(answer.status).toBe(400);
    expect(readError('REST', 400, answer.json).code).toBe('BAD_REQUEST');
  });

  test('two Cookies are one, as browsers may send them over HTTP/2', async () => {
    const [name = '', value = ''] = client.cookie.split(/=(.*)/s);
    expect((await twice('Cookie', 'a=b', `${name}=${value}`)).status).toBe(200);
  });

  test('of two Authorizations, the first decides, and a token in the second opens nothing', async () => {
    const made = await client.rest('POST', '/auth/tokens', { name: 'a script', scope: 'read' });
    const right = `Bearer ${made.body.secret}`;
    expect((await twice('Authorization', right, 'Bearer bct_wrong')).status).toBe(200);
    expect((await twice('Authorization', 'Bearer bct_wrong', right)).status).toBe(401);
    expect((await twice('Authorization', 'Basic eDp5', right)).status).toBe(401);
  });
});
