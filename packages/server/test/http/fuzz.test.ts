// The parsers of untrusted input: none of them throws, and each keeps its promise, whatever the input.
// The bytes are random but the same in each run; a failure names the input.
import { isIP, isIPv6 } from 'node:net';
import { expect, test } from 'vitest';
import { readBearer } from '../../src/http/bearer.ts';
import { createClientAddress, createTrust, foldAddress } from '../../src/http/client-address.ts';
import { findCookieValues } from '../../src/http/cookies.ts';
import { createLog } from '../../src/log.ts';
import { describeCaller } from '../../src/services/caller.ts';
import { sha256 } from '../../src/services/secrets.ts';
import { ipv6Network } from '../../src/services/throttle.ts';
import { amountOf } from '../support/amount.ts';
import { startServer } from '../support/harness.ts';
import { createRandom } from '../support/random.ts';

const { below, pick, text } = createRandom(0xbac0c4a1);

const anyCharacter = () => String.fromCharCode(pick(below(0x80), below(0x100), below(0x10000)));
const hex = () => below(0x10000).toString(16);
const octet = () => String(below(pick(256, 256, 256, 300)));
const ipv4 = () => [octet(), octet(), octet(), octet()].join('.');
/** Addresses, near misses, and look-alikes. */
const addressLike = () =>
  pick(
    () => text(12, anyCharacter),
    () => text(12, () => pick(':', '::', '.', '%', '[', ']', '/', ' ', hex(), octet())),
    ipv4,
    () => `${ipv4()}:${below(70_000)}`,
    () => Array.from({ length: 8 }, hex).join(':'),
    () => `${text(4, () => `${hex()}:`)}:${text(4, () => `:${hex()}`)}`,
    () => `::ffff:${ipv4()}`,
    () => `${text(6, () => `${hex()}:`)}${ipv4()}`,
    () => `${text(3, () => `${hex()}:`)}:${text(3, () => `${hex()}:`)}${ipv4()}`,
    () => `[${text(7, () => `${hex()}:`)}${hex()}]:${below(70_000)}`,
    () => `fe80::${hex()}%${text(4, anyCharacter)}`,
  )();

const ATTEMPTS = amountOf({ sample: 20, long: 2000 });
const RUNS = amountOf({ sample: 5000, long: 1_000_000 });
function forAll<T>(make: () => T, holds: (value: T) => boolean): void {
  for (let run = 0; run < RUNS; run++) {
    const value = make();
    let isHeld: unknown = false;
    try {
      isHeld = holds(value);
    } catch (error) {
      isHeld = error;
    }
    if (isHeld !== true) expect.fail(`${JSON.stringify(value)}: ${isHeld}`);
  }
}

test('foldAddress returns an address in its canonical spelling, or null', () => {
  const isFolded = (ip: string) => isIP(ip) !== 0 && !/%|[A-F]|^::ffff:\d+\./.test(ip) && foldAddress(ip) === ip;
  forAll(addressLike, (value) => {
    const folded = foldAddress(value);
    return folded === null ? isIP(value) === 0 : isFolded(folded);
  });
});

test('ipv6Network returns the network of any IPv6 address', () => {
  const asNetwork = (network: string) => createTrust([network]);
  forAll(addressLike, (value) => {
    const networks = ([48, 64] as const).map((bits) => ipv6Network(value, bits));
    const folded = foldAddress(value);
    if (folded === null || !isIPv6(folded)) return true;
    return networks.every((network) => asNetwork(network)(folded)) && ipv6Network(folded, 64) === networks[1];
  });
});

test("the caller's address is valid behind any X-Forwarded-For", () => {
  const log = createLog({ logLevel: 'silent', logFormat: 'json' });
  const address = createClientAddress({ trustedProxies: ['private', '2000::/3'] }, log);
  forAll(
    () => text(5, () => `${addressLike()}${pick(',', ', ', ' ,,')}`),
    (forwarded) => {
      const req = { socket: { remoteAddress: '::1' }, headers: { 'x-forwarded-for': forwarded } };
      const caller = address(req as never);
      return caller !== null && isIP(caller) !== 0;
    },
  );
});

test('findCookieValues returns at most three short values that are in the header', () => {
  const piece = () => pick('a', 'a=', 'a=b', 'b=a=c', ';', '; ', '=', ' ', '"', '\t', 'x'.repeat(1100), anyCharacter());
  forAll(
    () => text(20, piece),
    (header) => {
      const values = findCookieValues(header, 'a');
      const isSound = (value: string) => value !== '' && value.length <= 1024 && header.includes(value);
      return values.length <= 3 && values.every((value) => isSound(value) && !value.includes(';'));
    },
  );
});

test('readBearer returns a BackChannel token as it was sent, or null', () => {
  const piece = () => pick('Bearer', 'bearer', 'Basic', ' ', 'bct_', 'x', '_', '-', ',', '.', anyCharacter());
  forAll(
    () => `${pick('', 'Bearer ')}${text(10, piece)}`,
    (authorization) => {
      const token = readBearer({ authorization });
      return token === null || (/^bct_/i.test(token) && authorization.endsWith(token));
    },
  );
});

test('the throttle counts, lists and clears any address and device by its name', async () => {
  await using server = await startServer();
  const { throttle } = server.services;
  for (let run = 0; run < ATTEMPTS; run++) {
    const caller = describeCaller({ ip: foldAddress(addressLike()), userAgent: text(20, anyCharacter) });
    const attempt = { deviceId: pick(null, sha256(String(run))), caller, sessionId: null };
    for (const outcome of ['admitted', 'admitted', 'admitted', 'admitted', 'admitted', 'throttled']) {
      const admitted = await server.services.gate.writeRevoking((em) => throttle.admitWithin(em, attempt));
      expect(admitted, JSON.stringify(attempt)).toMatchObject({ outcome });
    }
    for (const { source } of await throttle.list()) expect([source, await throttle.clear(source)]).toEqual([source, 1]);
  }
});
