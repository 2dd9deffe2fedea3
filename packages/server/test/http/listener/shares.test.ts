// One address opens as many connections as it can: all others still get in, and what is being answered is answered.
// Runs on one engine: connections don't depend on the database.
import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createConnections } from '../../../src/http/listener/connections.ts';
import { createShares } from '../../../src/http/listener/shares.ts';
import type { RepeatedLine } from '../../../src/repeated-lines.ts';
import { amountOf } from '../../support/amount.ts';

// macOS has 127.0.0.1 alone.
const describeWithAddresses = describe.skipIf(process.platform === 'darwin');
const STRANGER = '127.0.0.9';
const VISITORS = ['127.0.0.10', '127.0.0.11', '127.0.0.12', '127.0.0.13', '127.0.0.14'];

interface Listener extends AsyncDisposable {
  server: Server;
  logged: RepeatedLine[];
  /** Opens a connection, and sends bytes on it. */
  open(localAddress: string, bytes?: string): Promise<Connection>;
  count(): Promise<number>;
}

interface Connection {
  socket: Socket;
  /** What it received until it was closed. */
  ended: Promise<string>;
  isOpen(): boolean;
  /** How many responses it has received. */
  answers(): number;
}

async function listen(options: { maxConnections?: number; isTrusted?: (address: string) => boolean } = {}) {
  const { maxConnections, isTrusted = () => false } = options;
  const logged: RepeatedLine[] = [];
  const server = createConnections({
    log: { repeated: (line) => logged.push(line) },
    isTrusted,
    limits: maxConnections === undefined ? {} : { maxConnections },
  });
  server.on('request', (req, res) => {
    if (req.url === '/') res.end('answered');
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = new Set<Socket>();

  const open = async (localAddress: string, bytes = ''): Promise<Connection> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    sockets.add(socket);
    let text = '';
    let isOpen = true;
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
    });
    // Not `once`, which rejects when the connection is reset.
    const ended = new Promise<string>((resolve) => {
      socket.once('close', () => {
        isOpen = false;
        sockets.delete(socket);
        resolve(text);
      });
    });
    await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), ended]);
    if (bytes !== '') socket.write(bytes);
    return { socket, ended, isOpen: () => isOpen, answers: () => text.split('HTTP/1.1 200').length - 1 };
  };
  const count = () => new Promise<number>((found) => server.getConnections((_, n) => found(n)));
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { server, logged, open, count, [Symbol.asyncDispose]: close } satisfies Listener;
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const LAST_GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const UNANSWERED = GET.replace('/', '/unanswered');

async function openMany({ open }: Listener, count: number, bytes = ''): Promise<Connection[]> {
  const opened: Connection[] = [];
  for (let left = count; left > 0; left -= 50) {
    opened.push(...(await Promise.all(Array.from({ length: Math.min(50, left) }, () => open(STRANGER, bytes)))));
  }
  return opened;
}

describeWithAddresses('more connections than there are, from one address', () => {
  // The long run has the listener's own limit, 4096.
  const maxConnections = amountOf({ sample: 80, long: 4096 });
  const share = maxConnections / 4;
  const kinds = [
    { kind: 'that say nothing', bytes: '', others: 'answered' },
    { kind: 'that stop in their headers', bytes: 'GET / HTTP/1.1\r\nHost: a\r\n', others: 'answered' },
    {
      kind: 'that stop in their body',
      bytes: 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{',
      others: 'answered',
    },
    { kind: 'that were answered and stay open', bytes: GET, others: 'answered' },
    { kind: 'that wait for a response', bytes: UNANSWERED, others: 'refused' },
  ];

  test.each(kinds)('$kind leave room for all others; a new one of its own is $others', async ({ bytes, others }) => {
    await using listener = await listen({ maxConnections });
    const held = await openMany(listener, Math.ceil(maxConnections * 1.05), bytes);
    await expect.poll(listener.count).toBe(share);
    const visits = Array.from({ length: amountOf({ sample: 20, long: 415 }) }, async (_, index) => {
      const { ended } = await listener.open(VISITORS[index % VISITORS.length] ?? STRANGER, LAST_GET);
      return ended;
    });
    for (const text of await Promise.all(visits)) expect(text).toContain('answered');
    const own = await listener.open(STRANGER, LAST_GET);
    if (others === 'answered') expect(await own.ended).toContain('answered');
    else expect(await own.ended).toBe('');
    await expect.poll(() => held.filter(({ isOpen }) => isOpen()).length).toBeLessThanOrEqual(share);
    expect(listener.logged[0]).toEqual({
      level: 'warn',
      message: `more than ${share} connections from one address; unused ones close for new ones`,
      kind: { address: STRANGER, advice: 'if it is your proxy, add it to TRUSTED_PROXIES' },
    });
  });
});

describeWithAddresses('at the limit of an address', () => {
  test('what is being answered is answered, and the longest unused connection closes', async () => {
    await using listener = await listen({ maxConnections: 16 });
    const { server, open } = listener;
    const asked = once(server, 'request');
    const busy = await open(STRANGER, UNANSWERED);
    const [, answer] = (await asked) as [unknown, ServerResponse];
    const [used, silent, other] = [await open(STRANGER, GET), await open(STRANGER), await open(STRANGER)];
    await expect.poll(used.answers).toBe(1);
    await open(STRANGER);
    await silent.ended;
    await open(STRANGER);
    await other.ended;
    expect([busy.isOpen(), used.isOpen()]).toEqual([true, true]);
    answer.end('at last');
    await expect.poll(busy.answers).toBe(1);
  });

  test('a connection that is used again and again stays, however many others come and go', async () => {
    await using listener = await listen({ maxConnections: 16 });
    const used = await listener.open(STRANGER, GET);
    for (let index = 0; index < 20; index++) {
      await expect.poll(used.answers, { interval: 2 }).toBe(index + 1);
      await listener.open(STRANGER);
      used.socket.write(GET);
    }
    expect(used.isOpen()).toBe(true);
  });

  test('a trusted proxy has no share', async () => {
    await using listener = await listen({ maxConnections: 16, isTrusted: (address) => address === STRANGER });
    const held = await openMany(listener, 16, UNANSWERED);
    await expect.poll(listener.count).toBe(16);
    expect(held.every(({ isOpen }) => isOpen())).toBe(true);
    expect(listener.logged).toEqual([]);
  });
});

describeWithAddresses('at the limit of all', () => {
  test('a few addresses together still leave room for every other one', async () => {
    await using listener = await listen({ maxConnections: 16 });
    for (const address of VISITORS.slice(0, 4)) for (const _ of [1, 2, 3, 4]) await listener.open(address);
    expect(await listener.count()).toBe(16);
    const visitor = await listener.open(STRANGER, LAST_GET);
    expect(await visitor.ended).toContain('answered');
    expect(listener.logged.map(({ message }) => message)).toEqual([
      'more than 16 connections at once; unused ones close for new ones',
    ]);
  });

  test('a connection is closed if all are trusted or busy, and new ones get in afterwards', async () => {
    await using listener = await listen({ maxConnections: 4, isTrusted: (address) => address === STRANGER });
    const [first] = await openMany(listener, 4);
    const refused = await listener.open('127.0.0.10', LAST_GET);
    expect(await refused.ended).toBe('');
    first?.socket.destroy();
    await expect.poll(listener.count).toBe(3);
    const visitor = await listener.open('127.0.0.10', LAST_GET);
    expect(await visitor.ended).toContain('answered');
  });
});

describe('an address', () => {
  const fakeSocket = (remoteAddress: string) => {
    const socket = { remoteAddress, bytesRead: 0, isOpen: true, once: () => {}, destroy: () => {} };
    socket.destroy = () => {
      socket.isOpen = false;
    };
    return socket;
  };

  test.each([
    { kind: 'an IPv6 /64 is one', addresses: ['2001:db8:1:2::1', '2001:db8:1:2:ffff::2'], isShared: true },
    { kind: 'two IPv6 /64 are two', addresses: ['2001:db8:1:2::1', '2001:db8:1:3::1'], isShared: false },
    { kind: 'IPv4 in IPv6 is the IPv4 one', addresses: ['::ffff:192.0.2.1', '192.0.2.1'], isShared: true },
    { kind: 'two IPv4 addresses are two', addresses: ['192.0.2.1', '192.0.2.2'], isShared: false },
  ])('$kind', ({ addresses, isShared }) => {
    const admit = createShares({ maxConnections: 4, isTrusted: () => false, isBusy: () => false, onCrowded: () => {} });
    const sockets = addresses.map(fakeSocket);
    for (const socket of sockets) admit(socket as unknown as Socket);
    expect(sockets.map(({ isOpen }) => isOpen)).toEqual([!isShared, true]);
  });
});
