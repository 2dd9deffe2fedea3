// `backchannel sessions`: lists and ends sessions. A running server rejects an ended session within one second.
import { commandLine } from '@backchannel/server/installation';
import type { toSession } from '@backchannel/server/views';
import { defineCommand, defineGroup } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { counted } from '../counted.ts';
import { badUsage, refusal } from '../failure.ts';
import { localTime } from '../local-time.ts';
import { withServices } from '../services.ts';
import { listing } from '../table.ts';

const columns = {
  ID: ({ id }) => id,
  DEVICE: ({ device, userAgent }) => device ?? userAgent,
  ADDRESS: ({ ip }) => ip,
  CREATED: ({ createdAt }) => localTime(createdAt),
  'LAST SEEN': ({ lastSeenAt }) => localTime(lastSeenAt),
  EXPIRES: ({ expiresAt }) => localTime(expiresAt),
} satisfies Record<string, (session: ReturnType<typeof toSession>) => string | null>;

const list = defineCommand({
  usage: 'sessions list',
  about: 'Prints the live sessions, latest sign-in first. Times are local; with --json they are ISO 8601 in UTC.',
  options: {},
  run: async (_, { context }) => {
    const { toSession } = await import('@backchannel/server/views');
    const live = await withServices(readConfig(context), ({ sessions }) => sessions.list());
    const found = live.map((seen) => toSession(seen, { current: false }));
    const remarks = found.length === 0 ? ['Nobody is signed in.'] : [];
    return { text: listing(found, columns), json: { sessions: found }, remarks };
  },
});

const revoke = defineCommand({
  usage: 'sessions revoke ID|--all',
  about: 'Ends one session, or all of them, for good. A running server rejects an ended session within one second.',
  options: { all: { type: 'boolean', about: 'end all sessions' } },
  argument: 'ID',
  run: async ({ all }, { argument: id, context }) => {
    if ((id === undefined) === !all) throw badUsage('sessions revoke takes either an ID or --all');
    const revoked = await withServices(readConfig(context), async ({ sessions }) => {
      if (id === undefined) return sessions.revokeAllBut(null, null);
      return (await sessions.revoke(id, null)) ? 1 : 0;
    });
    if (id !== undefined && revoked === 0)
      throw refusal(`There is no live session with this ID. See: ${commandLine} sessions list`);
    return { text: `${counted(revoked, 'session')} ended`, json: { revoked } };
  },
});

export const command = defineGroup({
  usage: 'sessions',
  about: 'Lists and ends sessions: the browsers and programs that are signed in with the password.',
  commands: {
    list: { about: 'list the sessions', command: list },
    revoke: { about: 'end one session, or all of them', command: revoke },
  },
});
