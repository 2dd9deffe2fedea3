// The tables, as MikroORM sees them. Every time is milliseconds since 1970 UTC; every secret is a SHA-256, never the secret.
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: p.text().primary(),
    secretSha256: p.text().unique('sessions_secret_sha256_unique'),
    passwordFingerprint: p.text(),
    remembered: p.boolean(),
    createdAt: p.bigint('number'),
    lastSeenAt: p.bigint('number').index('sessions_last_seen_at_index'),
    endedAt: p.bigint('number').strictNullable(),
    requestCount: p.bigint('number'),
    ip: p.text().strictNullable(),
    userAgent: p.text().strictNullable(),
  },
});
export type SessionRow = InferEntity<typeof SessionEntity>;

export const EventEntity = defineEntity({
  name: 'Event',
  tableName: 'events',
  properties: {
    /** Grows with time: newest first is by id, and so is a page's cursor. */
    id: p.text().primary(),
    at: p.bigint('number'),
    type: p.text(),
    ip: p.text().strictNullable(),
    userAgent: p.text().strictNullable(),
    sessionId: p.text().strictNullable(),
    tokenId: p.text().strictNullable(),
    detail: p.text().strictNullable(),
  },
  indexes: [{ name: 'events_type_id_index', properties: ['type', 'id'] }],
});
export type EventRow = InferEntity<typeof EventEntity>;

/** One bcrypt hash per origin: `environment` is kept for a plain MASTER_PASSWORD, `stored` is set or made here. */
export const PasswordEntity = defineEntity({
  name: 'Password',
  tableName: 'passwords',
  properties: {
    origin: p.text().primary(),
    hash: p.text(),
    changedAt: p.bigint('number'),
  },
});
export type PasswordRow = InferEntity<typeof PasswordEntity>;

export const entities = [SessionEntity, EventEntity, PasswordEntity];
