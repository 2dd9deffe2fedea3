// `backchannel throttle`: lists the sources of failed sign-ins, and clears their failures.
import { commandLine } from '@backchannel/server/installation';
import { defineCommand, defineGroup } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { counted } from '../counted.ts';
import { badUsage, refusal } from '../failure.ts';
import { localTime } from '../local-time.ts';
import { withServices } from '../services.ts';
import { listing } from '../table.ts';

interface Source {
  source: string;
  failures: number;
  lastAt: string;
  waitsUntil: string | null;
}

const columns = {
  SOURCE: ({ source }) => source,
  FAILURES: ({ failures }) => String(failures),
  'LAST FAILURE': ({ lastAt }) => localTime(lastAt),
  'WAITS UNTIL': ({ waitsUntil }) => localTime(waitsUntil),
} satisfies Record<string, (source: Source) => string | null>;

const list = defineCommand({
  usage: 'throttle list',
  about:
    'Prints the sources of failed sign-ins: addresses, known devices, and all unknown devices together. The source with the\n' +
    'longest wait comes first. Times are local; with --json they are ISO 8601 in UTC.',
  options: {},
  run: async (_, { context }) => {
    const rows = await withServices(readConfig(context), ({ throttle }) => throttle.list());
    const sources = rows.map(({ lastAt, waitsUntil, ...row }): Source => {
      const iso = (at: number) => new Date(at).toISOString();
      return { ...row, lastAt: iso(lastAt), waitsUntil: waitsUntil === null ? null : iso(waitsUntil) };
    });
    const remarks = sources.length === 0 ? ['There are no recent failures.'] : [];
    return { text: listing(sources, columns), json: { sources }, remarks };
  },
});

const clear = defineCommand({
  usage: 'throttle clear SOURCE|--all',
  about:
    'Forgets the failures of SOURCE, so it can try again at once. SOURCE is an entry of `throttle list`, or an address.\n' +
    '--all forgets all failures.',
  options: { all: { type: 'boolean', about: 'forget the failures of all sources' } },
  argument: 'SOURCE',
  run: async ({ all }, { argument: source, context }) => {
    if ((source === undefined) === !all) throw badUsage('throttle clear takes either a SOURCE or --all');
    const { sourcesOfAddress } = await import('@backchannel/server/throttle');
    const cleared = await withServices(readConfig(context), async ({ throttle }) => {
      if (source === undefined) return throttle.clear();
      let count = 0;
      for (const each of [source, ...sourcesOfAddress(source)]) count += await throttle.clear(each);
      return count;
    });
    if (source !== undefined && cleared === 0) {
      throw refusal(`There are no recent failures of this source. See: ${commandLine} throttle list`);
    }
    return { text: `${counted(cleared, 'source')} cleared`, json: { cleared } };
  },
});

export const command = defineGroup({
  usage: 'throttle',
  about: 'Lists and clears failed sign-ins. After failures, a source must wait before it can try again.',
  commands: {
    list: { about: 'list the sources of failed sign-ins', command: list },
    clear: { about: 'forget the failures of one source, or of all', command: clear },
  },
});
