// The prepared statements see and write the same as MikroORM does, on either engine.
import { expect, test } from 'vitest';
import { DeviceEntity, EventEntity, SessionEntity, type SessionRow, ThrottleEntity } from '../../src/store/entities.ts';
import { findBy, findOneBy, insert, run, update } from '../../src/store/prepared.ts';
import { anEvent } from '../support/an-event.ts';
import { openTestStore } from '../support/harness.ts';

const session: SessionRow = {
  id: 'a',
  secretSha256: "it's ? and $1",
  passwordFingerprint: 'p',
  remembered: true,
  createdAt: 1_900_000_000_000,
  lastSeenAt: Number.MAX_SAFE_INTEGER,
  endedAt: null,
  requestCount: 0,
  ip: null,
  userAgent: 'Grüße ☃ "?" \\ --',
  steppedUpAt: 7,
};

test('what one of them writes, the other reads', async () => {
  await using store = await openTestStore();
  const other = { ...session, id: 'b', secretSha256: 'b', remembered: false, userAgent: null };
  await store.write(async (em) => {
    await insert(em, SessionEntity, session);
    await em.insert(SessionEntity, other);
    await insert(em, EventEntity, anEvent);
  });
  await store.read(async (em) => {
    expect(await em.findOne(SessionEntity, { id: 'a' })).toEqual(session);
    expect(await findOneBy(em, SessionEntity, 'id', 'b')).toEqual(other);
    expect(await findOneBy(em, SessionEntity, 'secretSha256', session.secretSha256)).toEqual(session);
    expect(await findBy(em, SessionEntity, 'id', ['b', 'nobody', 'a'])).toHaveLength(2);
    expect(await findOneBy(em, SessionEntity, 'id', 'nobody')).toBeNull();
    expect(await findOneBy(em, EventEntity, 'id', anEvent.id)).toEqual(anEvent);
  });
});

test('a change says how many rows it met, and meets no others', async () => {
  await using store = await openTestStore();
  const device = { secretSha256: 'a', sessionId: 's', createdAt: 1, lastSeenAt: 1 };
  await store.write(async (em) => {
    for (const secretSha256 of ['a', 'b']) await insert(em, DeviceEntity, { ...device, secretSha256 });
    expect(
      await update(em, DeviceEntity, { secretSha256: 'a', sessionId: 's' }, { lastSeenAt: 2, sessionId: 't' }),
    ).toBe(1);
    expect(await update(em, DeviceEntity, { secretSha256: 'a', sessionId: 's' }, { lastSeenAt: 3 })).toBe(0);
    expect((await run(em, 'delete from backchannel_devices where secret_sha256 = ?', ['nobody'])).affected).toBe(0);
  });
  expect(await store.read((em) => em.find(DeviceEntity, {}, { orderBy: { secretSha256: 'asc' } }))).toEqual([
    { ...device, lastSeenAt: 2, sessionId: 't' },
    { ...device, secretSha256: 'b' },
  ]);
});

test('they are part of the transaction, and go back with it', async () => {
  await using store = await openTestStore();
  const row = { source: 'ip:192.0.2.1', failures: 1, firstAt: 1, lastAt: 1, reportedAt: 0 };
  const work = store.write(async (em) => {
    await insert(em, ThrottleEntity, row);
    expect(await em.count(ThrottleEntity)).toBe(1);
    throw new RangeError('over');
  });
  await expect(work).rejects.toThrow('over');
  expect(await store.read((em) => findBy(em, ThrottleEntity, 'source', [row.source]))).toEqual([]);
  await store.write((em) => insert(em, ThrottleEntity, row));
  await expect(store.write((em) => insert(em, ThrottleEntity, row))).rejects.toThrow(/unique|duplicate/i);
  expect(await store.read((em) => findBy(em, ThrottleEntity, 'source', [row.source]))).toEqual([row]);
});
