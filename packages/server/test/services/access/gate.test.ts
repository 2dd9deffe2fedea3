// The gate against real rows, with the one thing held up that a test needs to hold up: the way back from the database.
import { expect, test } from 'vitest';
import { createGate, type Gate } from '../../../src/services/access/gate.ts';
import { createKeyRing } from '../../../src/services/keys.ts';
import { sha256 } from '../../../src/services/secrets.ts';
import type { Store } from '../../../src/store/database.ts';
import { SessionEntity, TokenEntity } from '../../../src/store/entities.ts';
import { openTestStore } from '../../support/harness.ts';

const config = { sessionExpireMinutes: 60, sessionMaxDays: 30 };

async function openGate() {
  const store = await openTestStore();
  const keys = createKeyRing(['k'.repeat(32)], Date.now);
  let reads = 0;
  let isWrittenTwice = false;
  let isAway = false;
  let held: { released: Promise<void>; reach: () => void } | null = null;
  let now = Date.now();
  /** The store, except that a row that was read can be held up on its way, and that a transaction can run twice. */
  const slowStore: Store = {
    ...store,
    findSession: async (secretSha256) => {
      reads++;
      if (isAway) throw new Error('the database is away');
      const result = await store.findSession(secretSha256);
      held?.reach();
      await held?.released;
      return result;
    },
    write: (work, options) =>
      store.write(async (em) => {
        if (isWrittenTwice) await work(em);
        return work(em);
      }, options),
  };
  const gate = createGate({
    config,
    store: slowStore,
    keys,
    password: { isCurrent: async (fingerprint: string) => fingerprint === 'f' },
    activity: { lastUse: () => null },
    clock: () => now,
  });
  const open = async (id: string): Promise<string> => {
    await store.write((em) =>
      em.insert(SessionEntity, {
        id,
        secretSha256: sha256(`secret of ${id}`),
        passwordFingerprint: 'f',
        remembered: false,
        createdAt: now,
        lastSeenAt: now,
        endedAt: null,
        requestCount: 0,
        ip: null,
        userAgent: null,
        steppedUpAt: null,
      }),
    );
    return keys.sign('session', `secret of ${id}`, now + 86_400_000);
  };
  /** The other cookie of a session: a pass around the same secret. */
  const passOf = (id: string) => keys.sign('pass', `secret of ${id}`, now + 86_400_000);
  const openToken = async (bearer: string, expiresAt: number) => {
    const row = { id: bearer, name: 'x', scope: 'full', hosts: '[]', prefix: 'bct_', secretSha256: sha256(bearer) };
    const unused = { createdAt: now, expiresAt, lastUsedAt: null, lastUsedIp: null, requestCount: 0, endedAt: null };
    await store.write((em) => em.insert(TokenEntity, { ...row, ...unused }));
  };
  const revoke = (id: string) =>
    gate.writeRevoking((em, mark) => {
      mark([id]);
      return em.nativeUpdate(SessionEntity, { id }, { endedAt: now });
    });
  /** Gives a session another secret, and returns its cookie. */
  const renew = async (id: string): Promise<string> => {
    const next = `next secret of ${id}`;
    await gate.writeRevoking((em, mark) => {
      mark([sha256(`secret of ${id}`)]);
      return em.nativeUpdate(SessionEntity, { id }, { secretSha256: sha256(next) });
    });
    return keys.sign('session', next, now + 86_400_000);
  };
  return {
    gate,
    store,
    open,
    renew,
    passOf,
    openToken,
    revoke,
    now: () => now,
    reads: () => reads,
    setAway: (away: boolean) => {
      isAway = away;
    },
    writeTwice: () => {
      isWrittenTwice = true;
    },
    advance: (ms: number) => {
      now += ms;
    },
    hold: () => {
      const released = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<void>();
      held = { released: released.promise, reach: reached.resolve };
      const release = () => {
        held = null;
        released.resolve();
      };
      return { reached: reached.promise, release };
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

const check = (gate: Gate, cookie: string) =>
  gate.authenticate({ bearer: null, sessionCookies: [cookie], passCookies: [] }, 'api');

test('a check that races a revocation is refused, and so is every one after it', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { reached, release } = t.hold();
  const racing = check(t.gate, token);
  await reached;
  await t.revoke('a');
  release();
  expect(await racing).toBeNull();
  expect(await check(t.gate, token)).toBeNull();
});

test('a check that races a revocation is refused while the session is revoked again', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { reached, release } = t.hold();
  const racing = check(t.gate, token);
  await reached;
  await t.revoke('a');
  await t.gate.writeRevoking(async (_em, mark) => {
    mark(['a']);
    release();
    expect(await racing).toBeNull();
  });
});

test('a check that races a revocation is refused after another revocation has failed', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { reached, release } = t.hold();
  const racing = check(t.gate, token);
  await reached;
  await t.revoke('a');
  const failing = t.gate.writeRevoking(async (_em, mark) => {
    mark(['a']);
    throw new Error('the database is gone');
  });
  await expect(failing).rejects.toThrow('the database is gone');
  release();
  expect(await racing).toBeNull();
});

test('a revocation is remembered for longer than an answer that was read before it may be kept', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  await t.open('b');
  const { reached, release } = t.hold();
  const racing = check(t.gate, token);
  await reached;
  await t.revoke('a');
  t.advance(799);
  // Each revocation clears away those that are remembered no longer.
  await t.revoke('b');
  release();
  expect(await racing).toBeNull();
  expect(await check(t.gate, token)).toBeNull();
});

test('a check that takes longer than a revocation is remembered is refused all the same', async () => {
  await using t = await openGate();
  const [cookie, other] = [await t.open('a'), await t.open('b')];
  const { reached, release } = t.hold();
  const checking = check(t.gate, cookie);
  await reached;
  await t.revoke('a');
  t.advance(60_000);
  // The next revocation forgets old ones.
  await t.revoke('b');
  release();
  expect(await checking).toBeNull();
  expect([await check(t.gate, cookie), await check(t.gate, other)]).toEqual([null, null]);
});

test('a check that races a new secret of its session is refused, and the new secret is good at once', async () => {
  await using t = await openGate();
  const cookie = await t.open('a');
  const { reached, release } = t.hold();
  const checking = check(t.gate, cookie);
  await reached;
  const renewed = await t.renew('a');
  release();
  expect(await checking).toBeNull();
  expect(await check(t.gate, cookie)).toBeNull();
  expect((await check(t.gate, renewed))?.kind).toBe('session');
});

test('a session that only the first run of a transaction revokes stays valid', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  t.writeTwice();
  let runs = 0;
  await t.gate.writeRevoking(async (_em, mark) => {
    if (++runs === 1) mark(['a']);
  });
  expect(runs).toBe(2);
  expect(await check(t.gate, token)).not.toBeNull();
});

test('a check that began before a revocation that then fails is good, and is not kept', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { reached, release } = t.hold();
  const racing = check(t.gate, token);
  await reached;
  const failing = t.gate.writeRevoking(async (_em, mark) => {
    mark(['a']);
    release();
    expect(await racing).toMatchObject({ session: { id: 'a' } });
    throw new Error('the database is gone');
  });
  await expect(failing).rejects.toThrow('the database is gone');
  const before = t.reads();
  expect(await check(t.gate, token)).not.toBeNull();
  expect(t.reads()).toBe(before + 1);
  // The failed revocation has left nothing behind: this answer was kept.
  expect(await check(t.gate, token)).not.toBeNull();
  expect(t.reads()).toBe(before + 1);
});

test('a good answer is kept for 800 ms, counted from before its row was read', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { release } = t.hold();
  const slow = check(t.gate, token);
  t.advance(700);
  release();
  await slow;
  t.advance(99);
  await check(t.gate, token);
  expect(t.reads()).toBe(1);
  t.advance(1);
  await check(t.gate, token);
  expect(t.reads()).toBe(2);
});

test('a kept answer is not used when the clock has been set back to before it was read', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  await check(t.gate, token);
  t.advance(-1);
  await check(t.gate, token);
  expect(t.reads()).toBe(2);
});

test('a session and a token are refused from the millisecond in which they end, also while an answer is kept', async () => {
  await using t = await openGate();
  const cookie = await t.open('a');
  const idleEndAt = t.now() + config.sessionExpireMinutes * 60_000;
  const bearer = 'bct_x';
  await t.openToken(bearer, idleEndAt);
  const checkBoth = () =>
    Promise.all([check(t.gate, cookie), t.gate.authenticate({ bearer, sessionCookies: [], passCookies: [] }, 'api')]);
  t.advance(idleEndAt - 1 - t.now());
  expect(await checkBoth()).toEqual([
    expect.objectContaining({ kind: 'session' }),
    expect.objectContaining({ kind: 'token' }),
  ]);
  t.advance(1);
  expect(await checkBoth()).toEqual([null, null]);
  // By now no answer is kept.
  t.advance(800);
  expect(await checkBoth()).toEqual([null, null]);
});

test('bad answers are never kept, so that garbage cannot push live sessions out', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  await check(t.gate, token);
  const forged = await createKeyRing(['k'.repeat(32)], Date.now).sign('session', 'no such secret', Date.now() + 60_000);
  const before = t.reads();
  expect(await check(t.gate, forged)).toBeNull();
  expect(await check(t.gate, forged)).toBeNull();
  expect(t.reads()).toBe(before + 2);
  expect(await check(t.gate, token)).not.toBeNull();
  expect(t.reads()).toBe(before + 2);
});

test('a session of another password is refused though its row is live', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  await t.store.write((em) => em.nativeUpdate(SessionEntity, { id: 'a' }, { passwordFingerprint: 'g' }));
  expect(await check(t.gate, token)).toBeNull();
});

test('of several cookies of one name the first good one counts', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  expect(
    await t.gate.authenticate({ bearer: null, sessionCookies: ['garbage', token], passCookies: [] }, 'api'),
  ).toMatchObject({
    session: { id: 'a' },
  });
});

test.each(['api', 'forward-auth'] as const)(
  'at %s a token decides alone, whatever cookie is beside it',
  async (purpose) => {
    await using t = await openGate();
    const cookie = await t.open('a');
    await t.openToken('bct_expired', t.now());
    for (const bearer of ['bct_expired', 'bct_unknown', '']) {
      expect(await t.gate.authenticate({ bearer, sessionCookies: [cookie], passCookies: [] }, purpose)).toBeNull();
    }
  },
);

test('the database being away is an error, never a pass', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  await t.store[Symbol.asyncDispose]();
  await expect(check(t.gate, token)).rejects.toThrow('The database cannot be used');
});

test('a check does not share the lookup of one that the database has failed', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  t.setAway(true);
  await expect(check(t.gate, token)).rejects.toThrow('the database is away');
  t.setAway(false);
  expect(await check(t.gate, token)).not.toBeNull();
});

test('a pass opens nothing as a session cookie, also while it is being looked up as a pass', async () => {
  await using t = await openGate();
  await t.open('a');
  const pass = await t.passOf('a');
  const { reached, release } = t.hold();
  const asPass = t.gate.authenticate({ bearer: null, sessionCookies: [], passCookies: [pass] }, 'forward-auth');
  await reached;
  const asSession = check(t.gate, pass);
  release();
  expect(await asPass).toMatchObject({ session: { id: 'a' } });
  expect(await asSession).toBeNull();
  expect(await check(t.gate, pass)).toBeNull();
});

test('checks that come at once with one credential read its row once', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { release } = t.hold();
  const checks = Array.from({ length: 10 }, () => check(t.gate, token));
  release();
  expect(await Promise.all(checks)).toHaveLength(10);
  expect(t.reads()).toBe(1);
});

test('a check does not join a lookup that is older than a kept answer may be', async () => {
  await using t = await openGate();
  const token = await t.open('a');
  const { release } = t.hold();
  const slow = check(t.gate, token);
  t.advance(800);
  const late = check(t.gate, token);
  release();
  await Promise.all([slow, late]);
  expect(t.reads()).toBe(2);
});
