// `backchannel throttle`: who has to wait after wrong passwords, and an end to that.
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
    'Prints the sources of wrong passwords: addresses, known devices, and all unknown devices together. Those that have to\n' +
    'wait longest come first. Times are local; with --json they are ISO 8601 in UTC.',
  options: {},
  run: async (_, { context }) => {
    const rows = await withServices(readConfig(context), ({ throttle }) => throttle.list());
    const sources = rows.map(({ lastAt, waitsUntil, ...row }): Source => {
      const iso = (at: number) => new Date(at).toISOString();
      return { ...row, lastAt: iso(lastAt), waitsUntil: waitsUntil === null ? null : iso(waitsUntil) };
    });
    const remarks = sources.length === 0 ? ['Nobody has failed lately.'] : [];
    return { text: listing(sources, columns), json: { sources }, remarks };
  },
});

const clear = defineCommand({
  usage: 'throttle clear SOURCE|--all',
  about:
    'Forgets the failures of a source, so that it need not wait: one as `throttle list` prints it, or an address. --all\n' +
    'forgets them all.',
  options: { all: { type: 'boolean', about: 'forget all sources' } },
  argument: 'SOURCE',
  run: async ({ all }, { argument: source, context }) => {
    if ((source === undefined) === !all) throw badUsage('throttle clear takes a SOURCE, or --all');
    const { sourcesOfAddress } = await import('@backchannel/server/throttle');
    const cleared = await withServices(readConfig(context), async ({ throttle }) => {
      if (source === undefined) return throttle.clear();
      let count = 0;
      for (const each of [source, ...sourcesOfAddress(source)]) count += await throttle.clear(each);
      return count;
    });
    if (source !== undefined && cleared === 0) {
      throw refusal('There is no such source, or it has not failed lately: backchannel throttle list');
    }
    return { text: `${counted(cleared, 'source')} cleared`, json: { cleared } };
  },
});

export const command = defineGroup({
  usage: 'throttle',
  about: 'Sources that have tried wrong passwords, and have to wait before they may try again.',
  commands: {
    list: { about: 'list them', command: list },
    clear: { about: 'forget one, or all', command: clear },
  },
});
