// Browsers that have signed in before. Each is throttled and queued separately, so that strangers cannot lock its owner out.
// A device opens nothing. This file knows no cookies.
import { randomBytes } from 'node:crypto';
import { type Clock, DAY_MS } from '../clock.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { DeviceEntity } from '../store/entities.ts';
import { findOneBy, insert, update } from '../store/prepared.ts';
import type { KeyRing } from './keys.ts';
import { sha256 } from './secrets.ts';

/** How long a device is remembered after its last sign-in: as long as browsers keep a cookie, 400 days (RFC 6265bis). */
export const DEVICE_MAX_AGE_MS = 400 * DAY_MS;

export interface Device {
  /** The SHA-256 of its secret: the key of its row and of its throttle count. */
  readonly id: string;
  readonly secret: string;
}

export interface Devices {
  /** The known device behind the values of a device cookie, or null. */
  identify(cookies: readonly string[]): Promise<Device | null>;
  /** The device now belongs to this session. A browser that was not known becomes a new device. */
  bindWithin(em: EntityManager, device: Device | null, sessionId: string): Promise<Device>;
  /** Forgets the devices of revoked sessions. */
  forgetThoseOfWithin(em: EntityManager, sessionIds: readonly string[]): Promise<void>;
  /** The value of its cookie, and when that expires (milliseconds since 1970). */
  sign(device: Device): Promise<{ cookie: string; expiresAt: number }>;
  /** Deletes up to `limit` devices that no browser remembers any more. Returns how many. */
  deleteStale(limit: number): Promise<number>;
}

export function createDevices(options: { store: Store; keys: KeyRing; clock: Clock }): Devices {
  const { store, keys, clock } = options;
  return {
    identify: async (cookies) => {
      for (const cookie of cookies) {
        const secret = await keys.open('device', cookie);
        if (secret === null) continue;
        const device = { id: sha256(secret), secret };
        if (await store.read((em) => findOneBy(em, DeviceEntity, 'secretSha256', device.id))) return device;
      }
      return null;
    },
    bindWithin: async (em, known, sessionId) => {
      const now = clock();
      if (known) {
        const changed = { sessionId, lastSeenAt: now };
        if ((await update(em, DeviceEntity, { secretSha256: known.id }, changed)) > 0) return known;
      }
      const secret = randomBytes(32).toString('base64url');
      const device = { id: sha256(secret), secret };
      await insert(em, DeviceEntity, { secretSha256: device.id, sessionId, createdAt: now, lastSeenAt: now });
      return device;
    },
    forgetThoseOfWithin: async (em, sessionIds) => {
      if (sessionIds.length > 0) await em.nativeDelete(DeviceEntity, { sessionId: { $in: [...sessionIds] } });
    },
    sign: async ({ secret }) => {
      const expiresAt = clock() + DEVICE_MAX_AGE_MS;
      return { cookie: await keys.sign('device', secret, expiresAt), expiresAt };
    },
    deleteStale: (limit) =>
      store.write(async (em) => {
        const stale = { lastSeenAt: { $lt: clock() - DEVICE_MAX_AGE_MS } };
        const rows = await em.find(DeviceEntity, stale, { fields: ['secretSha256'], limit });
        const ids = rows.map((row) => row.secretSha256);
        return ids.length === 0 ? 0 : em.nativeDelete(DeviceEntity, { secretSha256: { $in: ids } });
      }),
  };
}
