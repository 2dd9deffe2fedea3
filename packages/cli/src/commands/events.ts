// `backchannel events`: prints the recorded events, newest first.
import { nearest } from '@backchannel/server/checks/nearest';
import type { EventType } from '@backchannel/server/events';
import type { toEvent } from '@backchannel/server/views';
import { defineCommand } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { badUsage } from '../failure.ts';
import { localTime } from '../local-time.ts';
import { withServices } from '../services.ts';
import { listing } from '../table.ts';

const MAX_LIMIT = 10_000;

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
    'Prints events, newest first: sign-ins, failures, revocations, changes. Times are local; with --json they are ISO 8601\n' +
    'in UTC.',
  options: {
    type: {
      type: 'string',
      value: 'TYPE',
      choices: async () => (await import('@backchannel/server/events')).eventTypes,
      about: 'only events of this type, such as login.failed',
    },
    limit: { type: 'string', value: 'N', about: `how many events, 1 to ${MAX_LIMIT}; default: 50` },
  },
  run: async (values, { context }) => {
    const limit = readLimit(values.limit ?? '50');
    const type = await readType(values.type);
    const { toEvent } = await import('@backchannel/server/views');
    const page = await withServices(readConfig(context), ({ events }) => events.list({ limit, ...(type && { type }) }));
    const events = page.events.map(toEvent);
    const remarks = events.length === 0 ? ['No events found.'] : [];
    return { text: listing(events, columns), json: { events }, remarks };
  },
});

function readLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) throw badUsage(`--limit must be a whole number from 1 to ${MAX_LIMIT}`);
  return limit;
}

async function readType(text: string | undefined): Promise<EventType | undefined> {
  if (text === undefined) return undefined;
  const { eventTypes } = await import('@backchannel/server/events');
  const type = eventTypes.find((each) => each === text);
  if (type) return type;
  const meant = nearest(text, eventTypes);
  throw badUsage(`unknown event type. ${meant ? `Did you mean ${meant}?` : `Types: ${eventTypes.join(', ')}`}`);
}
