// Sessions, tokens and events in the shape that every face shows: times in ISO 8601, devices in words, no secrets.
import bowser from 'bowser';
import { LRUCache } from 'lru-cache';
import { isoTime } from '../clock.ts';
import type { EventRow, TokenRow } from '../store/entities.ts';
import { type TokenScope, tokenHosts } from './access/policy.ts';
import type { EventType } from './events.ts';
import type { SeenSession } from './sessions/rows.ts';

export function toSession({ session: row, ends }: SeenSession, options: { current: boolean }) {
  return {
    id: row.id,
    current: options.current,
    remembered: row.remembered,
    createdAt: isoTime(row.createdAt),
    lastSeenAt: isoTime(row.lastSeenAt),
    expiresAt: isoTime(ends.expiresAt),
    ip: row.ip,
    userAgent: row.userAgent,
    device: deviceName(row.userAgent),
  };
}

export function toToken(row: TokenRow) {
  return {
    id: row.id,
    name: row.name,
    scope: row.scope as TokenScope,
    hosts: tokenHosts(row),
    prefix: row.prefix,
    createdAt: isoTime(row.createdAt),
    lastUsedAt: row.lastUsedAt === null ? null : isoTime(row.lastUsedAt),
    lastUsedIp: row.lastUsedIp,
    expiresAt: row.expiresAt === null ? null : isoTime(row.expiresAt),
  };
}

export function toEvent(row: EventRow) {
  const { id, at, type, ip, userAgent, sessionId, tokenId, detail } = row;
  return { id, at: isoTime(at), type: type as EventType, ip, userAgent, sessionId, tokenId, detail };
}

/** Parsing a User-Agent costs as much as the rest of a request, and one person has few browsers. */
const deviceNames = new LRUCache<string, { name: string | null }>({ max: 200 });

/** "Firefox on Linux", or a program's own name such as "curl", or null. */
function deviceName(userAgent: string | null): string | null {
  if (!userAgent) return null;
  const known = deviceNames.get(userAgent);
  if (known) return known.name;
  const { browser, os } = bowser.parse(userAgent);
  const product = /^[\w.-]+/.exec(userAgent)?.[0] ?? null;
  const name = browser.name && os.name ? `${browser.name} on ${os.name}` : browser.name || product;
  deviceNames.set(userAgent, { name });
  return name;
}
