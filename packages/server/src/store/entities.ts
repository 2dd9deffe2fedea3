// The tables, as MikroORM sees them. Times are in milliseconds since 1970 UTC. Secrets are stored only as SHA-256.
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { nameOf } from './names.ts';

export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: nameOf('sessions'),
  properties: {
    id: p.text().primary(),
    secretSha256: p.text().unique(nameOf('sessions_secret_sha256_unique')),
    passwordFingerprint: p.text(),
    remembered: p.boolean(),
    createdAt: p.bigint('number'),
    lastSeenAt: p.bigint('number').index(nameOf('sessions_last_seen_at_index')),
    endedAt: p.bigint('number').strictNullable(),
    requestCount: p.bigint('number'),
    ip: p.text().strictNullable(),
    userAgent: p.text().strictNullable(),
    /** When the session was last stepped up by entering the password again; null if it never was. */
    steppedUpAt: p.bigint('number').strictNullable(),
  },
  indexes: [{ name: nameOf('sessions_ended_at_created_at_index'), properties: ['endedAt', 'createdAt'] }],
});
export type SessionRow = InferEntity<typeof SessionEntity>;

export const EventEntity = defineEntity({
  name: 'Event',
  tableName: nameOf('events'),
  properties: {
    /** Grows with time. Lists are ordered by id, newest first, and a page's cursor is an id. */
    id: p.text().primary(),
    at: p.bigint('number'),
    type: p.text(),
    ip: p.text().strictNullable(),
    userAgent: p.text().strictNullable(),
    sessionId: p.text().strictNullable(),
    tokenId: p.text().strictNullable(),
    detail: p.text().strictNullable(),
  },
  indexes: [{ name: nameOf('events_type_id_index'), properties: ['type', 'id'] }],
});
export type EventRow = InferEntity<typeof EventEntity>;

/** One bcrypt hash per origin: `environment` for a plain MASTER_PASSWORD, `stored` for one that was set or generated here. */
export const PasswordEntity = defineEntity({
  name: 'Password',
  tableName: nameOf('passwords'),
  properties: {
    origin: p.text().primary(),
    hash: p.text(),
    changedAt: p.bigint('number'),
  },
});

export const TokenEntity = defineEntity({
  name: 'Token',
  tableName: nameOf('tokens'),
  properties: {
    id: p.text().primary(),
    name: p.text(),
    scope: p.text(),
    /** A JSON list of host names; empty for any. */
    hosts: p.text(),
    prefix: p.text(),
    secretSha256: p.text().unique(nameOf('tokens_secret_sha256_unique')),
    createdAt: p.bigint('number'),
    expiresAt: p.bigint('number').strictNullable(),
    lastUsedAt: p.bigint('number').strictNullable(),
    lastUsedIp: p.text().strictNullable(),
    requestCount: p.bigint('number'),
    endedAt: p.bigint('number').strictNullable(),
  },
});
export type TokenRow = InferEntity<typeof TokenEntity>;

/** How often a source has failed to sign in. services/throttle.ts turns these counts into waits. */
export const ThrottleEntity = defineEntity({
  name: 'Throttle',
  tableName: nameOf('throttle'),
  properties: {
    source: p.text().primary(),
    failures: p.bigint('number'),
    firstAt: p.bigint('number'),
    lastAt: p.bigint('number'),
    /** The `lastAt` of the failure whose wait was last recorded as an event. */
    reportedAt: p.bigint('number').fieldName('told_at'),
  },
});
export type ThrottleRow = InferEntity<typeof ThrottleEntity>;

/** A browser that has signed in before, by the SHA-256 of the secret in its device cookie. */
export const DeviceEntity = defineEntity({
  name: 'Device',
  tableName: nameOf('devices'),
  properties: {
    secretSha256: p.text().primary(),
    /** Its latest session. When that session is revoked, the device is forgotten. */
    sessionId: p.text().index(nameOf('devices_session_id_index')),
    createdAt: p.bigint('number'),
    lastSeenAt: p.bigint('number'),
  },
});

/** A server that uses a shared database, or did until recently. Times are on the database's clock. */
export const InstanceEntity = defineEntity({
  name: 'Instance',
  tableName: nameOf('instances'),
  properties: {
    /** Random, new at each start. */
    id: p.text().primary(),
    /** The name of its machine, for people to read. */
    host: p.text(),
    /** The fingerprint of the password in its environment, or `database`. */
    password: p.text(),
    joinedAt: p.bigint('number'),
    seenAt: p.bigint('number'),
  },
});
export type InstanceRow = InferEntity<typeof InstanceEntity>;

/** The ids of the keys that the last started instance signs and verifies with. Every cookie names the id of its key. */
export const SigningKeyEntity = defineEntity({
  name: 'SigningKey',
  tableName: nameOf('signing_keys'),
  properties: { id: p.text().primary() },
});

export const entities = [
  SessionEntity,
  EventEntity,
  PasswordEntity,
  TokenEntity,
  ThrottleEntity,
  DeviceEntity,
  InstanceEntity,
  SigningKeyEntity,
];
