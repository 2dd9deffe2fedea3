// What happened: an append-only log. An event is written in the transaction of the change that it reports.
import { randomBytes } from 'node:crypto';
import { type Clock, DAY_MS } from '../clock.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { EventEntity, type EventRow } from '../store/entities.ts';
import { insert } from '../store/prepared.ts';
import { countEventsBetweenWithin, countEventsFromWithin, findEventsWithin } from '../store/statements/events.ts';
import { escapeControlCharacters } from '../text.ts';
import type { Caller } from './caller.ts';

/** Every type of event there is. */
export const eventTypes = [
  'login.succeeded',
  'login.failed',
  'login.throttled',
  'logout',
  'step-up.failed',
  'session.revoked',
  'session.expired',
  'password.changed',
  'token.created',
  'token.revoked',
  'server.started',
] as const;
export type EventType = (typeof eventTypes)[number];

export interface NewEvent {
  type: EventType;
  /** The caller that caused it; absent for the server itself and the command line. */
  caller?: Caller | null;
  sessionId?: string | null;
  tokenId?: string | null;
  detail?: string;
}

export interface Events {
  /** Adds events within the caller's transaction. */
  recordWithin(em: EntityManager, ...events: NewEvent[]): Promise<void>;
  /** Adds one event in a separate transaction. */
  recordNow(event: NewEvent): Promise<void>;
  /** A page of events, newest first: those before `cursor`, an event's id. */
  list(options: { limit: number; cursor?: string; type?: EventType }): Promise<{
    events: EventRow[];
    nextCursor: string | null;
  }>;
  /** Deletes up to `limit` events from before an instant (milliseconds since 1970). Returns how many. */
  deleteBefore(at: number, limit: number): Promise<number>;
  /** How many events of a type there were since an instant (milliseconds since 1970). */
  countSince(type: EventType, since: number): Promise<number>;
  /** When an event of this type last happened (milliseconds since 1970), or null. */
  lastAt(type: EventType): Promise<number | null>;
  /** Events of a type per UTC day, `days` of them, oldest first and today last; days without events count 0. */
  perDay(type: EventType, days: number): Promise<{ date: string; count: number }[]>;
}

/** The first id that an event at this instant can have. An id is 12 hex digits of milliseconds and 12 that keep ids unique. */
const firstIdAt = (at: number) => Math.max(0, at).toString(16).padStart(12, '0');

/** Creates ids that grow with time, and within a millisecond by a counter. 32 random bits keep instances apart. */
function createIds(): (at: number) => string {
  let lastAt = 0;
  let count = 0;
  return (at) => {
    if (at > lastAt) [lastAt, count] = [at, 0];
    else if (++count > 0xffff) [lastAt, count] = [lastAt + 1, 0];
    return firstIdAt(lastAt) + count.toString(16).padStart(4, '0') + randomBytes(4).toString('hex');
  };
}

export function createEvents(store: Store, clock: Clock): Events {
  const nextId = createIds();
  const recordWithin: Events['recordWithin'] = async (em, ...events) => {
    const at = clock();
    const rows = events.map(({ type, caller, sessionId, tokenId, detail }) => ({
      id: nextId(at),
      at,
      type,
      ip: caller?.ip ?? null,
      userAgent: caller?.userAgent ?? null,
      sessionId: sessionId ?? null,
      tokenId: tokenId ?? null,
      detail: detail === undefined ? null : escapeControlCharacters(detail),
    }));
    const [row, ...more] = rows;
    if (!row) return;
    if (more.length > 0) await em.insertMany(EventEntity, rows);
    else await insert(em, EventEntity, row);
  };

  return {
    recordWithin,
    recordNow: (event) => store.write((em) => recordWithin(em, event)),
    list: async ({ limit, cursor, type }) => {
      // One more than asked for tells whether there is another page.
      const rows = await store.read((em) => findEventsWithin(em, { limit: limit + 1, before: cursor, type }));
      const events = rows.slice(0, limit);
      return { events, nextCursor: rows.length > limit ? (events.at(-1)?.id ?? null) : null };
    },
    deleteBefore: (at, limit) =>
      store.write(async (em) => {
        const old = { id: { $lt: firstIdAt(at) } };
        const [last] = await em.find(EventEntity, old, {
          fields: ['id'],
          orderBy: { id: 'asc' },
          offset: limit - 1,
          limit: 1,
        });
        return em.nativeDelete(EventEntity, last ? { id: { $lte: last.id } } : old);
      }),
    countSince: (type, since) => store.read((em) => countEventsFromWithin(em, type, firstIdAt(since))),
    lastAt: async (type) => {
      const [last] = await store.read((em) => findEventsWithin(em, { limit: 1, type }));
      return last?.at ?? null;
    },
    perDay: async (type, days) => {
      const today = Math.floor(clock() / DAY_MS);
      const dates = Array.from({ length: days }, (_, index) => today - days + 1 + index);
      const bounds = [...dates, today + 1].map((day) => firstIdAt(day * DAY_MS));
      const counts = await store.read((em) => countEventsBetweenWithin(em, type, bounds));
      return dates.map((day, index) => ({
        date: new Date(day * DAY_MS).toISOString().slice(0, 10),
        count: counts[index] ?? 0,
      }));
    },
  };
}
