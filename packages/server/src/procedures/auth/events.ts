// An event as the API shows it.
import { z } from 'zod';
import { isoTime } from '../../clock.ts';
import { eventTypes } from '../../services/events.ts';
import type { EventRow } from '../../store/entities.ts';

export const Event = z
  .strictObject({
    id: z.string().regex(/^[0-9a-f]{24}$/),
    at: z.iso.datetime(),
    type: z.enum(eventTypes),
    ip: z.string().nullable(),
    userAgent: z.string().nullable(),
    sessionId: z.string().nullable(),
    tokenId: z.string().nullable(),
    detail: z.string().nullable(),
  })
  .meta({ id: 'Event' });
export type Event = z.infer<typeof Event>;

export function toEvent(row: EventRow): Event {
  const { id, at, type, ip, userAgent, sessionId, tokenId, detail } = row;
  return { id, at: isoTime(at), type: type as Event['type'], ip, userAgent, sessionId, tokenId, detail };
}
