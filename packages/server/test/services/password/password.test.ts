import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  createHashingQueue,
  hashPassword,
  passwordWarnings,
  verifyPassword,
} from '../../../src/services/password/hashing.ts';
import { PASSWORD, startServer } from '../../support/harness.ts';

const fromDatabase = (builtInAllowed: boolean) => ({ from: 'database' as const, builtInAllowed });
const newFolder = () => mkdtempSync(join(tmpdir(), 'backchannel-password-'));
const login = async (server: Awaited<ReturnType<typeof startServer>>, password: string) =>
  (await server.client().rest('POST', '/auth/login', { password })).status;

describe('which password counts', () => {
  test('MASTER_PASSWORD_HASH: its own password opens, another does not', async () => {
    const hash = await hashPassword('the hashed one', { cost: 4 });
    await using server = await startServer({ password: { from: 'MASTER_PASSWORD_HASH', hash } });
    expect(await login(server, 'the hashed one')).toBe(200);
    expect(await login(server, PASSWORD)).toBe(401);
  });

  test('a hash with the prefix $2a$ or $2y$ counts like $2b$', async () => {
    for (const prefix of ['$2a$', '$2y$']) {
      const hash = (await hashPassword('the hashed one', { cost: 4 })).replace('$2b$', prefix);
      await using server = await startServer({ password: { from: 'MASTER_PASSWORD_HASH', hash } });
      expect(await login(server, 'the hashed one')).toBe(200);
    }
  });

  test("with nothing configured, on loopback, the seed's admin123", async () => {
    await using server = await startServer({ password: fromDatabase(true) });
    expect(server.services.password.origin()).toBe('built-in');
    expect(await login(server, 'admin123')).toBe(200);
  });

  test('with nothing configured and the built-in one not allowed, one that is made and told once', async () => {
    await using server = await startServer({ password: fromDatabase(false) });
    const { generated } = server.services.password;
    expect(generated).toMatch(/^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$/);
    expect(await login(server, 'admin123')).toBe(401);
    expect(await login(server, generated ?? '')).toBe(200);
    await server.restart();
    expect(server.services.password.generated).toBeNull();
    expect(await login(server, generated ?? '')).toBe(200);
  });

  test('a made one stays the one that counts when the built-in one becomes possible', async () => {
    await using server = await startServer({ password: fromDatabase(false) });
    await server.restart({ password: fromDatabase(true) });
    expect(await login(server, 'admin123')).toBe(401);
  });

  test('of two that start at once without a password, one makes it and the other takes it', async () => {
    const dataDir = newFolder();
    const start = () => startServer({ password: fromDatabase(false) }, { dataDir });
    const servers = await Promise.all([start(), start()]);
    const made = servers.map((server) => server.services.password.generated).filter((password) => password !== null);
    expect(made).toHaveLength(1);
    for (const server of servers) {
      expect(await login(server, made[0] ?? '')).toBe(200);
      await server[Symbol.asyncDispose]();
    }
  });

  test('a plain one keeps its hash over restarts, so that sessions stay', async () => {
    await using server = await startServer();
    const before = server.services.password.fingerprint();
    await server.restart();
    expect(server.services.password.fingerprint()).toBe(before);
    await server.restart({ password: { from: 'MASTER_PASSWORD', plain: 'changed' } });
    expect(server.services.password.fingerprint()).not.toBe(before);
    expect(await login(server, PASSWORD)).toBe(401);
    expect(await login(server, 'changed')).toBe(200);
  });
});

describe('what bcrypt can hold', () => {
  test('72 bytes, each of which counts', async () => {
    const longest = 'é'.repeat(36);
    const hash = await hashPassword(longest, { cost: 4 });
    expect(await verifyPassword(longest, hash)).toBe(true);
    for (const index of [0, 17, 35]) {
      const other = `${longest.slice(0, index)}è${longest.slice(index + 1)}`;
      expect(await verifyPassword(other, hash)).toBe(false);
    }
  });

  test.each([
    ['73 bytes', 'x'.repeat(73)],
    ['37 characters of two bytes', 'é'.repeat(37)],
    ['a NUL', 'abc\0def'],
    ['nothing', ''],
  ])('not %s: refused with 400 wherever a password is hashed or checked, on both faces', async (_name, password) => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    for (const [path, name] of [
      ['/auth/login', 'auth.login'],
      ['/auth/hash-password', 'auth.hashPassword'],
    ] as const) {
      const rest = await client.rest('POST', path, { password });
      expect(rest.status).toBe(400);
      expect(rest.body.issues).toEqual([{ path: 'password', message: expect.stringContaining('The password') }]);
      const trpc = await client.trpc('mutation', name, { password });
      expect(trpc.status).toBe(400);
      expect(trpc.body.error.data.issues).toEqual(rest.body.issues);
    }
    await expect(hashPassword(password)).rejects.toThrow(RangeError);
    expect(await verifyPassword(password, await hashPassword('x'.repeat(72), { cost: 4 }))).toBe(false);
  });

  test('short passwords are warned about, by characters and not by bytes', () => {
    expect(passwordWarnings('x'.repeat(14))).toHaveLength(1);
    expect(passwordWarnings('x'.repeat(15))).toEqual([]);
    expect(passwordWarnings('👩'.repeat(14))).toHaveLength(1);
  });
});

describe('hash-password', () => {
  test('answers with a hash in three forms that all open', async () => {
    await using server = await startServer();
    const client = server.client();
    await client.signIn();
    const { status, body } = await client.rest('POST', '/auth/hash-password', { password: 'mynewpassword' });
    expect(status).toBe(200);
    expect(await verifyPassword('mynewpassword', body.hash)).toBe(true);
    expect(Buffer.from(body.base64, 'base64').toString()).toBe(body.hash);
    expect(body.env).toBe(`MASTER_PASSWORD_HASH='${body.hash}'`);
    expect(body.warnings).toHaveLength(1);
  });
});

describe('the hashing queue', () => {
  test('runs no more at once than the thread pool leaves room for, and sheds what it cannot queue', async () => {
    const queue = createHashingQueue({ threadPoolSize: 4, cores: 8 });
    let running = 0;
    let most = 0;
    const releases: (() => void)[] = [];
    const job = async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => releases.push(resolve));
      running--;
    };
    const accepted = Array.from({ length: 30 }, () => queue.run('unknown-device', job)).filter((turn) => turn !== null);
    expect(accepted).toHaveLength(2 + 16);
    const all = Promise.all(accepted);
    for (let done = 0; done < accepted.length; done++) {
      await expect.poll(() => releases.length).toBeGreaterThan(0);
      releases.shift()?.();
    }
    await all;
    expect(most).toBe(2);
    expect(await queue.run('unknown-device', async () => 'free again')).toBe('free again');
  });

  test('lets lanes take turns, so that a flood in one does not hold up another', async () => {
    const queue = createHashingQueue({ threadPoolSize: 3, cores: 8 });
    const order: string[] = [];
    const flood = Array.from({ length: 5 }, (_, index) =>
      queue.run('unknown-device', async () => order.push(`flood ${index}`)),
    );
    const owner = queue.run('known-device', async () => order.push('owner'));
    await Promise.all([...flood, owner]);
    expect(order.indexOf('owner')).toBeLessThanOrEqual(2);
  });

  test('goes on after a job that throws', async () => {
    const queue = createHashingQueue({ threadPoolSize: 1, cores: 1 });
    await expect(queue.run('operator', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await queue.run('operator', async () => 'yes')).toBe('yes');
  });
});
