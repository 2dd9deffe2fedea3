// A token that ends up where it does not belong, in any spelling: neither the log nor an event has it.
// Runs on one engine: the database stores what it is given.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { hideTokens } from '../../src/text.ts';
import { PASSWORD, sendRaw, startServer, type TestServer } from '../support/harness.ts';

let write: ReturnType<typeof spy>;
const spy = () => vi.spyOn(process.stderr, 'write').mockReturnValue(true);
beforeEach(() => {
  write = spy();
});
afterEach(() => write.mockRestore());
const logged = () => write.mock.calls.map(([line]) => String(line)).join('');

const SECRET = 'canary-Canary_0123456789';
const token = `bct_${SECRET}`;

const whole = (text: string) => Buffer.from(text).toString('hex').replace(/../g, '%$&');
const spellings: [kind: string, spelled: string][] = [
  ['as it is', token],
  ['in other letter cases', `BcT_${SECRET}`],
  ['with one letter encoded', token.replace('b', '%62')],
  ['with its underscore encoded', token.replace('_', '%5F')],
  ['with its underscore encoded in small letters', token.replace('_', '%5f')],
  ['with a letter of the secret encoded', token.replace('canary', 'can%61ry')],
  ['encoded as a whole', whole(token)],
  ['encoded in capitals', whole(token).toUpperCase()],
  ['encoded twice', whole(token).replaceAll('%', '%25')],
  ['encoded twice as a whole', whole(whole(token))],
  ['encoded five times', token.replace('b', '%2525252562')],
  ['encoded three times as a whole', whole(whole(whole(token)))],
  ['with the digits of its encoding encoded', token.replace('b', '%%36%32')],
  ['with its percent sign encoded in parts', token.replace('b', '%%32%3562')],
  ['after an encoded slash', `%2f${token}`],
  ['after an encoded question mark', `%3F${token.replace('c', '%63')}`],
  ['after a byte that is not UTF-8', `%ff${token.replace('c', '%63')}`],
  ['after half an encoding', `%6${token}`],
  ['after a broken encoding', `%zz${token.replace('c', '%63')}`],
];

/** All that a text may say when it is decoded as far as possible. */
function decodings(text: string): string {
  const all = [text];
  for (let last = ''; last !== all.at(-1); ) {
    last = all.at(-1) ?? '';
    all.push(last.replace(/%([0-7][0-9a-f])/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))));
  }
  return all.join('\n');
}

describe.each(['json', 'pretty'] as const)('at trace in %s, neither the log nor an event has a token', (logFormat) => {
  let server: TestServer;
  beforeAll(async () => {
    const log = createLog({ logLevel: 'trace', logFormat });
    server = await startServer({ trustedProxies: ['private'] }, { log });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each(spellings)('%s', async (_kind, spelled) => {
    const user = { 'User-Agent': `script/1 ${spelled}`, Referer: `http://localhost/${spelled}?${spelled}` };
    for (const path of ['/', '/api/v1/auth/', '/api/v1/auth/verify/', '/trpc/', '/docs/']) {
      await sendRaw(server.url, `GET ${path}${spelled}`, { headers: user });
      await sendRaw(server.url, `GET ${path}?a=${spelled}`, { headers: user });
    }
    await sendRaw(server.url, 'GET /api/v1/auth/verify', {
      headers: {
        ...user,
        'X-Request-Id': token,
        'X-Forwarded-Host': `${token}.example.com`,
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Uri': `/${spelled}`,
        'X-Forwarded-Method': 'GET',
      },
    });
    const client = server.client();
    await client.rest('POST', '/auth/login', { password: 'wrong' }, user);
    await client.rest('POST', '/auth/login', { password: PASSWORD }, user);
    const events = await client.rest('GET', '/auth/events');
    const sessions = await client.rest('GET', '/auth/sessions');
    await expect.poll(() => logged().match(/auth\.sessions\.list/g)).toHaveLength(1);
    for (const text of [logged(), JSON.stringify(events.body), JSON.stringify(sessions.body)]) {
      expect(decodings(text)).not.toContain('0123456789');
    }
    expect(sessions.body.sessions[0].userAgent).toMatch(/^script\/1 /);
  });
});

describe('hiding tokens', () => {
  test.each([
    ['/api/v1/auth/me', '/api/v1/auth/me'],
    ['/caf%C3%A9%20%2Fa%25', '/caf%C3%A9%20%2Fa%25'],
    ['Mozilla/5.0 (100%)', 'Mozilla/5.0 (100%)'],
    ['/abct_x/y', '/abct_…/y'],
    ['/docs/bct_', '/docs/bct_'],
    [`/${token}/${token}`, '/bct_…/bct_…'],
  ])('%s is %s', (text, expected) => {
    expect(hideTokens(text)).toBe(expected);
  });

  test('takes no longer for text that is encoded deeply', () => {
    const deep = [`%${'25'.repeat(24_000)}`, `%%32%35${'%32%35'.repeat(8000)}`, '%'.repeat(48_000)];
    const begin = performance.now();
    for (const text of deep) hideTokens(text);
    expect(performance.now() - begin).toBeLessThan(500);
  });
});
