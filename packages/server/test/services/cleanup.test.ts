// The cleanup in the background: it deletes what has ended, in small steps, and nothing else.
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { type Config, loadConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/log.ts';
import { openServices } from '../../src/services/services.ts';
import { openStore, type Store } from '../../src/store/database.ts';
import { EventEntity, SessionEntity, type SessionRow, TokenEntity, type TokenRow } from '../../src/store/entities.ts';
import { openSharedDatabase, PASSWORD } from '../support/harness.ts';
import { createRandom } from '../support/random.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const log = createLog({ logLevel: 'silent', logFormat: 'json' });

/** Services on a store of their own, by a clock that the test sets. No background task runs. */
async function open({ env }: { env: Record<string, string> }, overrides: Partial<Config> = {}) {
  const config: Config = {
    ...loadConfig({ env: { ...env, MASTER_PASSWORD: PASSWORD }, root: tmpdir() }),
    bcryptCost: 4,
    ...overrides,
  };
  const store = await openStore(config.database);
  let now = Date.now();
  const services = await openServices({ config, store, log, clock: () => now });
  return {
    config,
    store,
    services,
    now: () => now,
    set: (to: number) => {
      now = to;
    },
    [Symbol.asyncDispose]: async () => {
      await services[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

const newId = () => randomBytes(12).toString('hex');

const session = (more: Partial<SessionRow> & Pick<SessionRow, 'createdAt'>): SessionRow => ({
  id: newId(),
  secretSha256: newId(),
  passwordFingerprint: 'f',
  remembered: false,
  lastSeenAt: more.createdAt,
  endedAt: null,
  requestCount: 0,
  ip: null,
  userAgent: null,
  steppedUpAt: null,
  ...more,
});

const token = (more: Partial<TokenRow> & Pick<TokenRow, 'createdAt'>): TokenRow => ({
  id: newId(),
  name: 'x',
  scope: 'read',
  hosts: '[]',
  prefix: 'bct_x',
  secretSha256: newId(),
  expiresAt: null,
  lastUsedAt: null,
  lastUsedIp: null,
  requestCount: 0,
  endedAt: null,
  ...more,
});

const sessionIds = async (store: Store) =>
  (await store.read((em) => em.find(SessionEntity, {}, { fields: ['id'] }))).map(({ id }) => id).sort();

const eventIds = async (store: Store, type: string) =>
  (await store.read((em) => em.find(EventEntity, { type }))).map(({ sessionId }) => sessionId).sort();

describe('tidying up', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'deletes what has ended and touches nothing that lives, of any rows (seed %i)',
    async (seed) => {
      const random = createRandom(seed).below;
      const sessionExpireMinutes = 1 + random(120);
      const sessionMaxDays = 1 + random(5);
      await using database = await openSharedDatabase();
      await using t = await open(database, { sessionExpireMinutes, sessionMaxDays });
      const now = t.now();
      const idleMs = sessionExpireMinutes * MINUTE_MS;
      const maxMs = sessionMaxDays * DAY_MS;
      /** Around the ends, to the millisecond, and everywhere else. */
      const near = (end: number) => end + ([-1, 0, 1][random(3)] ?? 0);
      const age = (ends: number[]) => (random(3) === 0 ? near(ends[random(ends.length)] ?? 0) : random(1.5 * maxMs));
      const sessions = Array.from({ length: 400 }, () => {
        const createdAt = now - Math.max(0, age([0, maxMs]));
        const unusedMs = Math.min(now - createdAt, Math.max(0, age([0, idleMs, idleMs + 15_000])));
        return session({
          createdAt,
          lastSeenAt: now - unusedMs,
          remembered: random(3) === 0,
          endedAt: random(4) === 0 ? now - random(maxMs) : null,
        });
      });
      const tokens = Array.from({ length: 100 }, () =>
        token({
          createdAt: now - maxMs,
          expiresAt: random(2) === 0 ? near(now) - random(2) * random(maxMs) : null,
          endedAt: random(4) === 0 ? now - random(maxMs) : null,
        }),
      );
      await t.store.write(async (em) => {
        await em.insertMany(SessionEntity, sessions);
        await em.insertMany(TokenEntity, tokens);
      });

      const isOver = (row: SessionRow, graceMs = 0) =>
        row.createdAt + maxMs <= now || (!row.remembered && row.lastSeenAt + idleMs + graceMs <= now);
      const lives = sessions.filter((row) => row.endedAt === null && !isOver(row));
      expect((await t.services.sessions.list()).map((seen) => seen.session.id).sort()).toEqual(
        lives.map(({ id }) => id).sort(),
      );
      await t.services.cleanup.run();

      // Another server may not have written yet that a session is in use: for a while it is spared.
      const stays = sessions.filter((row) => row.endedAt === null && !isOver(row, 15_000));
      expect(await sessionIds(t.store)).toEqual(stays.map(({ id }) => id).sort());
      const expired = sessions.filter((row) => row.endedAt === null && isOver(row, 15_000));
      expect(expired.length).toBeGreaterThan(0);
      expect(await eventIds(t.store, 'session.expired')).toEqual(expired.map(({ id }) => id).sort());
      expect(await eventIds(t.store, 'session.revoked')).toEqual([]);
      const livingTokens = tokens.filter((row) => row.endedAt === null && (row.expiresAt ?? now + 1) > now);
      const left = await t.store.read((em) => em.find(TokenEntity, {}, { fields: ['id'] }));
      expect(left.map(({ id }) => id).sort()).toEqual(livingTokens.map(({ id }) => id).sort());

      await t.services.cleanup.run();
      expect(await eventIds(t.store, 'session.expired')).toHaveLength(expired.length);
    },
  );

  test('spares a session whose last use only memory knows of', async () => {
    await using database = await openSharedDatabase();
    await using t = await open(database);
    const row = session({ createdAt: t.now() });
    await t.store.write((em) => em.insert(SessionEntity, row));
    t.set(t.now() + 59 * MINUTE_MS);
    t.services.activity.record({ kind: 'session', session: row }, null);
    t.set(t.now() + 30 * MINUTE_MS);
    await t.services.cleanup.run();
    expect(await sessionIds(t.store)).toEqual([row.id]);
    t.set(t.now() + 31 * MINUTE_MS);
    await t.services.cleanup.run();
    expect(await sessionIds(t.store)).toEqual([]);
  });

  test('goes in steps of 500 at most, until nothing is left', async () => {
    await using database = await openSharedDatabase();
    await using t = await open(database, { eventRetentionDays: 30 });
    const { store, services } = t;
    const createdAt = t.now() - 2 * DAY_MS;
    await store.write((em) =>
      em.insertMany(
        SessionEntity,
        Array.from({ length: 1201 }, () => session({ createdAt })),
      ),
    );
    expect(await services.sessions.deleteEnded(500)).toBe(500);
    expect(await eventIds(store, 'session.expired')).toHaveLength(500);
    await services.cleanup.run();
    expect(await sessionIds(store)).toEqual([]);
    expect(new Set(await eventIds(store, 'session.expired')).size).toBe(1201);
    t.set(t.now() + 31 * DAY_MS);
    await services.cleanup.run();
    expect(await store.read((em) => em.count(EventEntity))).toBe(0);
  });

  test('by two servers at once records each session that expired once', async () => {
    await using database = await openSharedDatabase();
    await using one = await open(database);
    await using two = await open(database);
    const createdAt = one.now() - 2 * DAY_MS;
    const rows = Array.from({ length: 1500 }, () => session({ createdAt }));
    await one.store.write((em) => em.insertMany(SessionEntity, rows));
    await Promise.all([one.services.cleanup.run(), two.services.cleanup.run(), one.services.cleanup.run()]);
    expect(await sessionIds(one.store)).toEqual([]);
    expect(await eventIds(one.store, 'session.expired')).toEqual(rows.map(({ id }) => id).sort());
  });

  test('that is cut short by closing leaves the rest for the next start, and records nothing twice', async () => {
    await using database = await openSharedDatabase();
    const rows: SessionRow[] = [];
    let left = 0;
    {
      await using t = await open(database);
      for (let index = 0; index < 2000; index++) rows.push(session({ createdAt: t.now() - 2 * DAY_MS }));
      await t.store.write((em) => em.insertMany(SessionEntity, rows));
      const { sessions } = t.services;
      const deleteEnded = sessions.deleteEnded;
      const second = Promise.withResolvers<void>();
      let steps = 0;
      sessions.deleteEnded = (limit) => {
        if (++steps === 2) second.resolve();
        return deleteEnded(limit);
      };
      const running = t.services.cleanup.run();
      await second.promise;
      await t.services[Symbol.asyncDispose]();
      await running;
      left = (await sessionIds(t.store)).length;
      expect(left).toBe(1000);
      // Nothing begins after the end.
      await t.services.cleanup.run();
      expect(await sessionIds(t.store)).toHaveLength(left);
    }
    await using t = await open(database);
    await t.services.cleanup.run();
    expect(await sessionIds(t.store)).toEqual([]);
    expect(await eventIds(t.store, 'session.expired')).toEqual(rows.map(({ id }) => id).sort());
  });

  test('that fails reports it, and works again when the database does', async () => {
    await using database = await openSharedDatabase();
    await using t = await open(database);
    await t.store.write((em) => em.insert(SessionEntity, session({ createdAt: t.now() - 2 * DAY_MS })));
    const { sessions, cleanup } = t.services;
    const deleteEnded = sessions.deleteEnded;
    sessions.deleteEnded = () => Promise.reject(new Error('no database'));
    await expect(cleanup.run()).rejects.toThrow('no database');
    sessions.deleteEnded = deleteEnded;
    await cleanup.run();
    expect(await sessionIds(t.store)).toEqual([]);
  });
});
