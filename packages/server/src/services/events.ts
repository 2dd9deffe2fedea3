// What happened, append-only. An event is written in the same transaction as the change it tells of.
import { randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/sqlite';
import type { Clock } from '../clock.ts';
import type { Store } from '../store/database.ts';
import { EventEntity, type EventRow } from '../store/entities.ts';
import type { Client } from './client.ts';

/** Every type of event there is. */
export const eventTypes = [
  'login.succeeded',
  'login.failed',
  'logout',
  'session.revoked',
  'password.changed',
  'server.started',
] as const;
export type EventType = (typeof eventTypes)[number];

export interface NewEvent {
  type: EventType;
  client?: Client;
  sessionId?: string;
  detail?: string;
}

export interface Events {
  /** Adds events within the caller's transaction. */
  record(em: EntityManager, ...events: NewEvent[]): Promise<void>;
  /** Adds one event in a transaction of its own. */
  recordNow(event: NewEvent): Promise<void>;
  /** The latest events, newest first. */
  latest(limit: number): Promise<EventRow[]>;
  /** How many events of a type there were since an instant (milliseconds since 1970). */
  countSince(type: EventType, since: number): Promise<number>;
  /** When an event of this type last happened (milliseconds since 1970), or null. */
  lastAt(type: EventType): Promise<number | null>;
  /** Events of a type per UTC day, `days` of them, oldest first and today last; days without any are there as 0. */
  perDay(type: EventType, days: number): Promise<{ date: string; count: number }[]>;
}

const DAY_MS = 86_400_000;

/** The first id that an event at this instant can have: 12 hex digits of milliseconds, then what tells events apart. */
const firstIdAt = (at: number) => Math.max(0, at).toString(16).padStart(12, '0');

/** Makes ids that grow: by time, and within a millisecond by a counter; 32 random bits keep instances apart. */
function createIds(): (at: number) => string {
  let lastAt = 0;
  let count = 0;
  return (at) => {
    count = at > lastAt ? 0 : (count + 1) % 0x10000;
    lastAt = Math.max(at, lastAt);
    return firstIdAt(lastAt) + count.toString(16).padStart(4, '0') + randomBytes(4).toString('hex');
  };
}

export function createEvents(store: Store, clock: Clock): Events {
  const nextId = createIds();
  const record: Events['record'] = async (em, ...events) => {
    const at = clock();
    const rows = events.map(({ type, client, sessionId, detail }) => ({
      id: nextId(at),
      at,
      type,
      ip: client?.ip ?? null,
      userAgent: client?.userAgent ?? null,
      sessionId: sessionId ?? null,
      tokenId: null,
      detail: detail ?? null,
    }));
    if (rows.length > 0) await em.insertMany(EventEntity, rows);
  };

  return {
    record,
    recordNow: (event) => store.write((em) => record(em, event)),
    latest: (limit) => store.read((em) => em.find(EventEntity, {}, { orderBy: { id: 'desc' }, limit })),
    countSince: (type, since) => store.read((em) => em.count(EventEntity, { type, id: { $gte: firstIdAt(since) } })),
    lastAt: async (type) => {
      const [last] = await store.read((em) => em.find(EventEntity, { type }, { orderBy: { id: 'desc' }, limit: 1 }));
      return last?.at ?? null;
    },
    perDay: async (type, days) => {
      const today = Math.floor(clock() / DAY_MS);
      const first = today - days + 1;
      const rows = await store.read((em) =>
        em.execute<{ day: number | string; count: number | string }[]>(
          `select at / ${DAY_MS} as day, count(*) as count from events where type = ? and id >= ? group by at / ${DAY_MS}`,
          [type, firstIdAt(first * DAY_MS)],
        ),
      );
      const counts = new Map(rows.map((row) => [Number(row.day), Number(row.count)]));
      return Array.from({ length: days }, (_, index) => ({
        date: new Date((first + index) * DAY_MS).toISOString().slice(0, 10),
        count: counts.get(first + index) ?? 0,
      }));
    },
  };
}
