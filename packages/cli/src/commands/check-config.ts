// `backchannel check-config`: the configuration as the server would read it, and what to do about it. The checks are the
// server's, which gives the same advice when it starts.
import { checkThoroughly } from '@backchannel/server/checks/all';
import { isFault } from '@backchannel/server/checks/finding';
import { defineCommand } from '../command.ts';
import { placeOf } from '../configuration.ts';

export const command = defineCommand({
  usage: 'check-config',
  about:
    'Reads the configuration as the server would, and says what to do about it. Each line is ok, advice or a fault; with\n' +
    'a fault the exit code is 1.',
  options: {},
  run: async (_, { context }) => {
    const findings = await checkThoroughly(placeOf(context));
    const ok = !findings.some(isFault);
    const lines = findings.map(({ level, about, text }) => `${level.padEnd(7)} ${about}: ${text}`);
    return { text: lines.join('\n'), json: { ok, findings }, ok };
  },
});
