// `backchannel events`: what happened, newest first.

import { nearest } from '@backchannel/server/checks/nearest';
import type { EventType } from '@backchannel/server/events';
import type { toEvent } from '@backchannel/server/views';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { badUsage } from '../failure.ts';
import { localTime } from '../local-time.ts';
import { withServices } from '../services.ts';
import { listing } from '../table.ts';

const MOST = 10_000;

const columns = {
  TIME: ({ at }) => localTime(at),
  TYPE: ({ type }) => type,
  ADDRESS: ({ ip }) => ip,
  ABOUT: ({ sessionId, tokenId }) => tokenId ?? sessionId,
  DETAIL: ({ detail }) => detail,
} satisfies Record<string, (event: ReturnType<typeof toEvent>) => string | null>;

export const command = defineCommand({
  usage: 'events',
  about:
    'Prints what happened, newest first: sign-ins, failures, revocations, changes. Times are local; with --json they are\n' +
    'ISO 8601 in UTC.',
  options: {
    type: {
      type: 'string',
      value: 'TYPE',
      choices: async () => (await import('@backchannel/server/events')).eventTypes,
      about: 'only events of this type, such as login.failed',
    },
    limit: { type: 'string', value: 'N', about: `how many, 1 to ${MOST}; 50 unless told` },
  },
  run: async (values, { context }) => {
    const limit = readLimit(values.limit ?? '50');
    const type = await readType(values.type);
    const { toEvent } = await import('@backchannel/server/views');
    const page = await withServices(readConfig(context), ({ events }) => events.list({ limit, ...(type && { type }) }));
    const events = page.events.map(toEvent);
    const remarks = events.length === 0 ? ['There is no such event.'] : [];
    return { text: listing(events, columns), json: { events }, remarks };
  },
});

function readLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MOST) throw badUsage(`--limit takes a whole number from 1 to ${MOST}`);
  return limit;
}

async function readType(text: string | undefined): Promise<EventType | undefined> {
  if (text === undefined) return undefined;
  const { eventTypes } = await import('@backchannel/server/events');
  const type = eventTypes.find((each) => each === text);
  if (type) return type;
  const meant = nearest(text, eventTypes);
  throw badUsage(`there is no such type; ${meant ? `did you mean ${meant}?` : `there are ${eventTypes.join(', ')}`}`);
}
