// `backchannel check-config`: reads the configuration as the server would, and suggests fixes. The checks are the server's
// own: it gives the same advice when it starts.
import { checkThoroughly } from '@backchannel/server/checks/all';
import { isFault } from '@backchannel/server/checks/finding';
import { defineCommand } from '../command.ts';
import { placeOf } from '../configuration.ts';

export const command = defineCommand({
  usage: 'check-config',
  about:
    'Reads the configuration as the server would, and suggests fixes. Each line is ok, advice or a fault. The exit code is\n' +
    '1 if there is a fault.',
  options: {},
  run: async (_, { context }) => {
    const findings = await checkThoroughly(placeOf(context));
    const ok = !findings.some(isFault);
    const lines = findings.map(({ level, about, text }) => `${level.padEnd(7)} ${about}: ${text}`);
    return { text: lines.join('\n'), json: { ok, findings }, ok };
  },
});
