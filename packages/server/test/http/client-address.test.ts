// The caller's address: the peer's by default, and the one that trusted proxies report behind them.
// Runs on one engine: addresses don't depend on the database.
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { createClientAddress, createTrust, foldAddress } from '../../src/http/client-address.ts';
import { createLog } from '../../src/log.ts';
import { PASSWORD, sendRaw, startServer, type TestServer } from '../support/harness.ts';

/** The caller's address of a request on a connection from `peer`. */
function addressOf(options: { peer: string | undefined; forwarded?: string; trusted?: readonly string[] }) {
  const { peer, forwarded, trusted = [] } = options;
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: peer });
  const req = new IncomingMessage(socket);
  if (forwarded !== undefined) req.headers['x-forwarded-for'] = forwarded;
  return createClientAddress({ trustedProxies: trusted }, createLog({ logLevel: 'silent', logFormat: 'json' }))(req);
}

/** The caller's address as the server reports it. */
async function profileIp(server: TestServer, headers: [string, string][] = []): Promise<string> {
  const client = server.client();
  await client.signIn();
  const answer = await sendRaw(server.url, 'GET /api/v1/client/profile', {
    headers: [['Cookie', client.cookie], ...headers],
  });
  expect(answer.status).toBe(200);
  return answer.json.ip;
}

describe('by default', () => {
  test('no header about the address is trusted', async () => {
    await using server = await startServer();
    for (const name of [
      'X-Forwarded-For',
      'X-Real-IP',
      'Forwarded',
      'Client-IP',
      'CF-Connecting-IP',
      'True-Client-IP',
    ]) {
      const value = name === 'Forwarded' ? 'for=203.0.113.9' : '203.0.113.9';
      expect(await profileIp(server, [[name, value]])).toBe('127.0.0.1');
    }
  });

  test('the first X-Forwarded-For is logged once, with the setting that would trust its sender', async () => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    await using server = await startServer({}, { log: createLog({ logLevel: 'warn', logFormat: 'json' }) });
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    await Promise.all([1, 2, 3].map(() => server.client().rest('GET', '/auth/status', undefined, headers)));
    await server.client().trpc('query', 'auth.status', undefined, headers);
    await server.client().rest('POST', '/auth/login', { password: PASSWORD }, headers);
    await server.client().rest('GET', '/auth/verify', undefined, headers);
    const warnings = write.mock.calls.map(([line]) => JSON.parse(String(line)).msg);
    write.mockRestore();
    expect(warnings).toEqual([
      'X-Forwarded-For from 127.0.0.1 is ignored: it is not in TRUSTED_PROXIES. If it is your proxy, set TRUSTED_PROXIES=127.0.0.1',
    ]);
  });

  test('the logged setting keeps the trusted proxies, and trusted senders are not logged', () => {
    const warnings: string[] = [];
    const log = {
      ...createLog({ logLevel: 'silent', logFormat: 'json' }),
      warn: (line: string) => warnings.push(line),
    };
    const address = createClientAddress({ trustedProxies: ['private', '192.0.2.1'] }, log as never);
    for (const peer of ['192.168.0.1', '192.0.2.1', '192.0.2.2', '192.0.2.3']) {
      const socket = Object.defineProperty(new Socket(), 'remoteAddress', { value: peer });
      const req = new IncomingMessage(socket);
      address(req);
      req.headers['x-forwarded-for'] = '203.0.113.9';
      address(req);
    }
    expect(warnings).toEqual([
      expect.stringMatching(/192\.0\.2\.2 .* set TRUSTED_PROXIES=private,192\.0\.2\.1,192\.0\.2\.2$/),
    ]);
  });
});

describe('behind a trusted proxy', () => {
  test('the address that it reports appears in the profile, sessions, events and tokens', async () => {
    await using server = await startServer({ trustedProxies: ['127.0.0.1'] });
    const headers = { 'x-forwarded-for': '203.0.113.9' };
    const client = server.client();
    await client.rest('POST', '/auth/login', { password: 'wrong' }, headers);
    await client.rest('POST', '/auth/login', { password: PASSWORD }, headers);
    expect((await client.rest('GET', '/client/profile', undefined, headers)).body.ip).toBe('203.0.113.9');
    expect((await client.trpc('query', 'client.profile', undefined, headers)).body.result.data.ip).toBe('203.0.113.9');
    expect((await client.rest('GET', '/auth/me')).body.session.ip).toBe('203.0.113.9');
    const { events } = (await client.rest('GET', '/auth/events')).body;
    expect(events.map(({ type, ip }: { type: string; ip: string }) => [type, ip])).toEqual([
      ['login.succeeded', '203.0.113.9'],
      ['login.failed', '203.0.113.9'],
      ['server.started', null],
    ]);
    const { secret } = (await client.rest('POST', '/auth/tokens', { name: 'x', scope: 'read' }, headers)).body;
    const used = { ...headers, authorization: `Bearer ${secret}` };
    expect((await server.client().rest('GET', '/client/profile', undefined, used)).body.ip).toBe('203.0.113.9');
    await server.services.activity.flush();
    expect((await client.rest('GET', '/auth/tokens')).body.tokens[0].lastUsedIp).toBe('203.0.113.9');
  });

  test('several headers form one chain, in their order', async () => {
    await using server = await startServer({ trustedProxies: ['127.0.0.1', '10.0.0.0/8'] });
    const forwarded = (...values: string[]) =>
      profileIp(
        server,
        values.map((value) => ['X-Forwarded-For', value]),
      );
    expect(await forwarded('203.0.113.1', '203.0.113.2')).toBe('203.0.113.2');
    expect(await forwarded('203.0.113.1', '203.0.113.2, 10.1.1.1', '10.2.2.2')).toBe('203.0.113.2');
    expect(await forwarded('203.0.113.1', '')).toBe('127.0.0.1');
    expect(await forwarded()).toBe('127.0.0.1');
  });

  const chains: [string, string | undefined, string][] = [
    ['no header', undefined, '10.0.0.1'],
    ['an empty header', '', '10.0.0.1'],
    ['only blanks and commas', ' , ,, ', '10.0.0.1'],
    ['one caller', '203.0.113.9', '203.0.113.9'],
    ['blanks around it', '\t 203.0.113.9 \t', '203.0.113.9'],
    ['a left part that the caller forged', '127.0.0.1, 10.0.0.1, 192.0.2.66, 203.0.113.9', '203.0.113.9'],
    ['forged garbage on the left', '<script>, 203.0.113.9', '203.0.113.9'],
    ['proxies behind proxies', '203.0.113.9, 10.3.3.3, 10.2.2.2', '203.0.113.9'],
    ['only proxies: the farthest one', '10.4.4.4, 10.3.3.3', '10.4.4.4'],
    ['garbage: the last valid address', '203.0.113.9, unknown, 10.2.2.2', '10.2.2.2'],
    ['only garbage', 'unknown', '10.0.0.1'],
    ['an empty place in the chain', '203.0.113.9, , 10.2.2.2', '10.2.2.2'],
    ['a name', 'localhost', '10.0.0.1'],
    ['a number that some parsers accept as an address', '3405803785', '10.0.0.1'],
    ['octal that some parsers accept as an address', '0313.0.0113.011', '10.0.0.1'],
    ['an address with a suffix', '203.0.113.9/24', '10.0.0.1'],
    ['a port', '203.0.113.9:51234', '203.0.113.9'],
    ['an invalid port', '203.0.113.9:x', '10.0.0.1'],
    ['IPv6', '2001:db8::9', '2001:db8::9'],
    ['IPv6 in capitals and written out', '2001:0DB8:0:0:0:0:0:0009', '2001:db8::9'],
    ['IPv6 in brackets', '[2001:db8::9]', '2001:db8::9'],
    ['IPv6 in brackets with a port', '[2001:db8::9]:51234', '2001:db8::9'],
    ['IPv6 with a zone', 'fe80::9%eth0', 'fe80::9'],
    ['brackets that do not close', '[2001:db8::9', '10.0.0.1'],
    ['IPv4 in IPv6', '::ffff:203.0.113.9', '203.0.113.9'],
    ['IPv4 in IPv6, in hexadecimal', '::FFFF:cb00:7109', '203.0.113.9'],
    ['a proxy as IPv4 in IPv6', '203.0.113.9, ::ffff:10.2.2.2', '203.0.113.9'],
    ['a very long chain', `203.0.113.9${', 10.2.2.2'.repeat(1500)}`, '203.0.113.9'],
  ];
  test.each(chains)('%s', (_name, forwarded, expected) => {
    const chain = forwarded === undefined ? {} : { forwarded };
    expect(addressOf({ peer: '10.0.0.1', ...chain, trusted: ['10.0.0.0/8'] })).toBe(expected);
    expect(addressOf({ peer: '::ffff:10.0.0.1', ...chain, trusted: ['10.0.0.0/8'] })).toBe(expected);
    expect(addressOf({ peer: '192.0.2.1', ...chain, trusted: ['10.0.0.0/8'] })).toBe('192.0.2.1');
  });
});

describe('a peer', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['fe80::1ff:fe23:4567:890a%eth2', 'fe80::1ff:fe23:4567:890a'],
    ['fe80::1%3', 'fe80::1'],
    [undefined, null],
    ['', null],
  ])('%s is %s', (peer, expected) => {
    expect(addressOf({ peer })).toBe(expected);
  });

  test('without an address, as on a Unix socket or after it disconnected, is null, whatever the header says', () => {
    expect(addressOf({ peer: undefined, forwarded: '203.0.113.9', trusted: ['private', '0.0.0.0/1'] })).toBeNull();
  });

  test('with a zone is trusted by its address', () => {
    const options = { peer: 'fe80::1%eth0', forwarded: '203.0.113.9' };
    expect(addressOf({ ...options, trusted: ['fe80::/10'] })).toBe('203.0.113.9');
    expect(addressOf({ ...options, trusted: ['fe80::1'] })).toBe('203.0.113.9');
    expect(addressOf({ ...options, trusted: ['private'] })).toBe('fe80::1');
  });
});

describe('TRUSTED_PROXIES', () => {
  const cases: [entries: string[], inside: string[], outside: string[]][] = [
    [[], [], ['127.0.0.1', '::1', '10.0.0.1']],
    [
      ['private'],
      ['127.0.0.1', '127.255.255.255', '::1', '10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255'].concat([
        '192.168.0.0',
        '192.168.255.255',
        'fc00::',
        'fdff:ffff::1',
        '100.64.0.0',
        '100.127.255.255',
      ]),
      ['126.255.255.255', '128.0.0.0', '::2', '9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0'].concat(
        ['192.167.255.255', '192.169.0.0', 'fbff::1', 'fe00::', 'fe80::1', '100.63.255.255', '100.128.0.0'],
        ['169.254.1.1', '203.0.113.9', '2001:db8::1', '::', '0.0.0.0'],
      ),
    ],
    [['192.0.2.1'], ['192.0.2.1'], ['192.0.2.2', '::1', '2001:db8::1']],
    [['192.0.2.0/30'], ['192.0.2.0', '192.0.2.3'], ['192.0.2.4', '192.0.1.255']],
    [['192.0.2.77/24'], ['192.0.2.0', '192.0.2.255'], ['192.0.3.0']],
    [['192.0.2.1/32'], ['192.0.2.1'], ['192.0.2.0', '192.0.2.2']],
    [['2001:db8::/32'], ['2001:db8::', '2001:db8:ffff::1'], ['2001:db9::', '32.1.13.184']],
    [['2001:DB8::1'], ['2001:db8::1'], ['2001:db8::2']],
    [['::ffff:192.0.2.1'], ['192.0.2.1'], ['192.0.2.2']],
    [['::ffff:10.0.0.0/104'], ['10.1.2.3'], ['11.1.2.3']],
    [['private', '192.0.2.1', '2001:db8::/32'], ['10.1.1.1', '192.0.2.1', '2001:db8::9'], ['192.0.2.2']],
  ];
  test.each(cases)('%j', (entries, inside, outside) => {
    const isTrusted = createTrust(entries);
    expect(inside.filter((address) => !isTrusted(address))).toEqual([]);
    expect(outside.filter(isTrusted)).toEqual([]);
  });
});

test('an address has one spelling', () => {
  for (const spellings of [
    ['2001:db8::1', '2001:DB8::1', '2001:0db8:0000::0001', '2001:db8:0:0:0:0:0.0.0.1', '2001:db8::1%eth0'],
    ['::1', '0:0:0:0:0:0:0:1', '::0.0.0.1', '0000::0001'],
    ['198.51.100.7', '::ffff:198.51.100.7', '::FFFF:C633:6407', '0:0:0:0:0:ffff:198.51.100.7', '::ffff:198.51.100.7%1'],
  ]) {
    expect(new Set(spellings.map(foldAddress))).toEqual(new Set([spellings[0]]));
  }
});
