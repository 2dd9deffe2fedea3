// Two servers and more on one PostgreSQL database, each with its own gate, pool and memory.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { PasswordConflictError } from '../../src/services/instances.ts';
import { SecretKeyError } from '../../src/services/key-file.ts';
import { hashPassword } from '../../src/services/password/hashing.ts';
import { openElsewhere } from '../support/elsewhere.ts';
import { PASSWORD, startServer, type TestServer } from '../support/harness.ts';

const status = async (server: TestServer, cookie: string) => {
  const client = server.client();
  client.cookie = cookie;
  return (await client.rest('GET', '/auth/me')).status;
};

/** The first server on a database that outlives it. */
const startFirst = (overrides: Partial<Config> = {}) =>
  startServer(overrides, { dataDir: mkdtempSync(join(tmpdir(), 'backchannel-instances-')) });

/** Another one on the same database, with the same configuration but for what is said. */
const beside = (one: TestServer, overrides: Partial<Config> = {}) =>
  startServer(
    { password: one.config.password, secretKeys: one.config.secretKeys, ...overrides },
    { dataDir: one.config.dataDir },
  );

const kept: Partial<Config> = { password: { from: 'database', builtInAllowed: true } };

test('a session of one is a session of all, and what one ends is over on each within a second', async () => {
  await using one = await startFirst();
  await using two = await beside(one);
  await using three = await beside(one);
  const client = one.client();
  await client.signIn();
  const { cookie } = client;
  for (const server of [one, two, three]) expect(await status(server, cookie)).toBe(200);
  const elsewhere = two.client();
  elsewhere.cookie = cookie;
  expect((await elsewhere.rest('POST', '/auth/logout')).status).toBe(200);
  expect(await status(two, cookie)).toBe(401);
  for (const server of [one, three]) {
    server.advance(1000);
    expect(await status(server, cookie)).toBe(401);
  }
});

test('a changed password is the password on every instance at once, and the old sessions are over within a second', async () => {
  await using one = await startFirst(kept);
  await using two = await beside(one);
  const [owner, other] = [one.client(), two.client()];
  for (const client of [owner, other]) await client.rest('POST', '/auth/login', { password: 'admin123' });
  for (const server of [one, two]) expect(await status(server, other.cookie)).toBe(200);
  const change = { current: 'admin123', new: 'another one entirely' };
  expect((await owner.rest('POST', '/auth/password', change)).status).toBe(200);
  const login = async (server: TestServer, password: string) =>
    (await server.client().rest('POST', '/auth/login', { password })).status;
  expect([await login(two, 'admin123'), await login(two, 'another one entirely')]).toEqual([401, 200]);
  two.advance(1000);
  expect(await status(two, other.cookie)).toBe(401);
  expect(await status(two, owner.cookie)).toBe(200);
});

test('wrong passwords are counted together, whichever instance they are sent to, and at once', async () => {
  await using one = await startFirst();
  await using two = await beside(one);
  const tries = Array.from({ length: 12 }, (_, index) =>
    (index % 2 === 0 ? one : two).client().rest('POST', '/auth/login', { password: 'wrong' }),
  );
  const statuses = (await Promise.all(tries)).map((answer) => answer.status);
  expect(statuses.filter((each) => each === 401)).toHaveLength(5);
  for (const server of [one, two]) expect((await server.client().signIn()).status).toBe(429);
});

test('signing in on two at once keeps no more sessions than SESSION_MAX_LIVE', async () => {
  // Sign-ins that are being checked count as failures until they were right: eight at once are over the usual five.
  const limits = { sessionMaxLive: 3, loginMaxFailures: 8 };
  await using one = await startFirst(limits);
  await using two = await beside(one, limits);
  const signIns = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? one : two).client().signIn());
  for (const answer of await Promise.all(signIns)) expect(answer.status).toBe(200);
  expect(await two.services.sessions.countLive()).toBe(3);
});

test('uses that two have counted are added up, and the later one stands', async () => {
  await using one = await startFirst();
  await using two = await beside(one);
  const client = one.client();
  await client.signIn();
  for (const server of [one, two, two]) expect(await status(server, client.cookie)).toBe(200);
  await Promise.all([one.services.activity.flush(), two.services.activity.flush()]);
  expect((await client.rest('GET', '/client/stats')).body.requestCount).toBe(4);
});

test('an instance that is killed takes nothing with it: the other goes on without an error', async () => {
  await using one = await startFirst();
  const two = await beside(one);
  const client = one.client();
  await client.signIn();
  let isOver = false;
  const load = (async () => {
    const seen = new Set<number>();
    while (!isOver) seen.add(await status(one, client.cookie));
    return [...seen];
  })();
  // As the database sees a killed process: its connections end in the middle of what they were at.
  await using other = await openElsewhere(one);
  await other.run(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  await two[Symbol.asyncDispose]();
  for (const _ of [1, 2, 3]) expect((await one.client().signIn()).status).toBe(200);
  isOver = true;
  expect(await load).toEqual([200]);
});

describe('what is done once for all', () => {
  test('is done by the one that has been alive for longest, and by the next when it is gone', async () => {
    await using one = await startFirst();
    await using two = await beside(one);
    await using three = await beside(one);
    const first = async () => Promise.all([one, two, three].map((server) => server.services.instances.isFirst()));
    expect(await first()).toEqual([true, false, false]);
    const client = one.client();
    await client.signIn();
    await client.rest('POST', '/auth/logout');
    const rows = async () => {
      await using other = await openElsewhere(two);
      return await other.run('select id from backchannel_sessions');
    };
    await two.services.tasks.run('cleanup');
    expect(await rows()).toHaveLength(1);
    await one.services.tasks.run('cleanup');
    expect(await rows()).toEqual([]);
    await one[Symbol.asyncDispose]();
    expect(await two.services.instances.isFirst()).toBe(true);
    await one.restart();
    expect(await first()).toEqual([false, true, false]);
  });
});

describe('a key ring', () => {
  const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(32)) as [string, string, string];

  test('that has no key in common with the last one is refused in one sentence', async () => {
    await using one = await startFirst({ secretKeys: [A] });
    const refusal = await beside(one, { secretKeys: [B] }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(SecretKeyError);
    expect(String(refusal)).toMatch(
      /^SecretKeyError: SECRET_KEY: none of its keys is one that the other instances [^\n]+$/,
    );
    // Also when nobody is there who could be asked.
    await one[Symbol.asyncDispose]();
    await expect(beside(one, { secretKeys: [B, C] })).rejects.toThrow(SecretKeyError);
  });

  test('is changed by a start with both, and no session is lost', async () => {
    await using one = await startFirst({ secretKeys: [A] });
    const client = one.client();
    await client.signIn();
    await one.restart({ secretKeys: [B, A] });
    expect(await status(one, client.cookie)).toBe(200);
    await using two = await beside(one, { secretKeys: [B] });
    expect(await status(two, client.cookie)).toBe(401);
    await expect(beside(one, { secretKeys: [A] })).rejects.toThrow(SecretKeyError);
  });

  test('is changed on one instance after another, in three rounds, and each accepts the sessions of the others at any time', async () => {
    await using one = await startFirst({ secretKeys: [A] });
    await using two = await beside(one);
    for (const ring of [[A, B], [B, A], [B]]) {
      for (const server of [one, two]) {
        await server.restart({ secretKeys: ring });
        for (const from of [one, two]) {
          const client = from.client();
          await client.signIn();
          for (const at of [one, two]) expect(await status(at, client.cookie)).toBe(200);
        }
      }
    }
  });
});

const hashed = await Promise.all(
  ['the first one', 'the second one'].map(
    async (password): Promise<Partial<Config>> => ({
      password: { from: 'MASTER_PASSWORD_HASH', hash: await hashPassword(password, { cost: 4 }) },
    }),
  ),
);

describe('two passwords', () => {
  const plain = (password: string): Partial<Config> => ({ password: { from: 'MASTER_PASSWORD', plain: password } });
  const cases: [string, Partial<Config>, Partial<Config>, string][] = [
    ['in plain text', plain('the first one'), plain('the second one'), 'MASTER_PASSWORD'],
    ['as hashes', hashed[0] ?? {}, hashed[1] ?? {}, 'MASTER_PASSWORD_HASH'],
    ['one of them in the database', plain('the first one'), kept, 'MASTER_PASSWORD'],
    ['the other in the database', kept, plain('the second one'), 'MASTER_PASSWORD'],
  ];

  test.each(cases)(
    '%s, of instances that are alive, are told apart, and nothing is changed',
    async (_, first, second, variable) => {
      await using one = await startFirst(first);
      const client = one.client();
      const password = first.password?.from === 'MASTER_PASSWORD' ? first.password.plain : 'the first one';
      const signIn = () => client.rest('POST', '/auth/login', { password: first === kept ? 'admin123' : password });
      await signIn();
      const refusal = await beside(one, second).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(PasswordConflictError);
      expect(String(refusal)).toMatch(
        new RegExp(
          `^PasswordConflictError: ${variable}: the instance on \\S+, which is alive on this database, [^\\n]+$`,
        ),
      );
      one.advance(1000);
      expect(await status(one, client.cookie)).toBe(200);
      await one.restart();
      expect(await status(one, client.cookie)).toBe(200);
      expect((await signIn()).status).toBe(200);
    },
  );

  test('of two that start at once leave one that serves', async () => {
    await using database = await startFirst(plain('the one before'));
    await database[Symbol.asyncDispose]();
    const started = await Promise.allSettled([
      beside(database, plain('the first one')),
      beside(database, plain('the second one')),
    ]);
    const [server, ...others] = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(others).toEqual([]);
    const [refused] = started.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(refused).toBeInstanceOf(PasswordConflictError);
    const statuses = await Promise.all(
      ['the first one', 'the second one'].map(async (password) => {
        return (await server?.client().rest('POST', '/auth/login', { password }))?.status;
      }),
    );
    expect(statuses.toSorted()).toEqual([200, 401]);
    await server?.[Symbol.asyncDispose]();
  });

  test('one after the other is how it is changed: a lone restart with a new one is let in', async () => {
    await using one = await startFirst(plain('the first one'));
    await one.restart(plain('the second one'));
    expect((await one.client().rest('POST', '/auth/login', { password: 'the second one' })).status).toBe(200);
  });

  test('after an instance that ended without a word: its place is free when it has been silent for a while', async () => {
    await using one = await startFirst();
    await using other = await openElsewhere(one);
    await other.run(
      `insert into backchannel_instances (id, host, password, joined_at, seen_at)
       select 'killed', 'elsewhere', 'another password', 0, max(seen_at) from backchannel_instances`,
    );
    await one[Symbol.asyncDispose]();
    await one.restart();
    expect((await one.client().signIn()).status).toBe(200);
  });

  test('the same one on several that start at once is no conflict, with nothing in the database yet', async () => {
    await using one = await startFirst(plain('the same one'));
    await one[Symbol.asyncDispose]();
    await using other = await openElsewhere(one);
    await other.run('delete from backchannel_passwords');
    const servers = await Promise.all([1, 2, 3].map(() => beside(one)));
    for (const server of servers) {
      expect((await server.client().rest('POST', '/auth/login', { password: 'the same one' })).status).toBe(200);
      await server[Symbol.asyncDispose]();
    }
  });
});

test('a password that is made where none is set is shown by one of those that start at once', async () => {
  const unset: Partial<Config> = { password: { from: 'database', builtInAllowed: false } };
  await using one = await startFirst();
  await one[Symbol.asyncDispose]();
  await using other = await openElsewhere(one);
  await other.run('delete from backchannel_passwords');
  const servers = await Promise.all([1, 2, 3].map(() => beside(one, unset)));
  const [made, ...more] = servers.flatMap(({ services }) => services.password.generated ?? []);
  expect(more).toEqual([]);
  for (const server of servers) {
    expect((await server.client().rest('POST', '/auth/login', { password: made })).status).toBe(200);
    await server[Symbol.asyncDispose]();
  }
  await one.restart(unset);
  expect((await one.client().rest('POST', '/auth/login', { password: PASSWORD })).status).toBe(401);
});
