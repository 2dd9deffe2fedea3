// How much of what bcrypt alone could do is left for sign-ins: how many a second there are, against the cores divided by the
// time of one bcrypt.
import { availableParallelism } from 'node:os';
import { openBackchannel, PASSWORD, signIn } from '../backchannel.ts';
import type { BcryptJob } from '../load/bcrypt.ts';
import type { LoginsJob, LoginsResult } from '../load/logins.ts';
import { readCpuMs, untilIdle } from '../proc.ts';
import { openWorker } from '../processes.ts';
import { formatSpread, median, printTable } from '../report.ts';

/** The server's default. */
const COST = 12;
const BCRYPTS = 9;
/** Enough for none of the server's threads to wait for a client, and below the sixteen that it lets wait. */
const CLIENTS = 8;
const ROUND_SECONDS = 8;

export async function logins({ rounds }: { rounds: number }): Promise<void> {
  const cores = availableParallelism();
  await using backchannel = await openBackchannel({ core: null });
  await using bcrypt = openWorker<BcryptJob, { eachMs: number[] }>({ script: 'bench/src/load/bcrypt.ts', core: null });
  await using load = openWorker<LoginsJob, LoginsResult>({ script: 'bench/src/load/logins.ts', core: null });
  await signIn(backchannel.url);

  const measured: { bcryptMs: number; perSecond: number; cpuMs: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const { eachMs } = await bcrypt.run({ password: PASSWORD, cost: COST, times: BCRYPTS });
    const before = readCpuMs(backchannel.pid) ?? Number.NaN;
    const { answers, unanswered, signedInSeconds } = await load.run({
      url: `${backchannel.url}/api/v1/auth/login`,
      password: PASSWORD,
      clients: CLIENTS,
      isPatient: false,
      durationSeconds: ROUND_SECONDS,
    });
    const refused = Object.keys(answers).filter((status) => status !== '200');
    if (refused.length > 0) throw new Error(`Sign-ins were answered ${refused}.`);
    // Those who hung up are still being checked: without the wait their time would be lost, or the next round's.
    await untilIdle(backchannel.pid);
    const cpuMs = ((readCpuMs(backchannel.pid) ?? Number.NaN) - before) / ((answers['200'] ?? 0) + unanswered);
    measured.push({ bcryptMs: median(eachMs), perSecond: (answers['200'] ?? 0) / signedInSeconds, cpuMs });
  }

  const bcryptMs = measured.map((each) => each.bcryptMs);
  const perSecond = measured.map((each) => each.perSecond);
  const cpuMs = median(measured.map((each) => each.cpuMs));
  const limits = bcryptMs.map((ms) => (cores * 1000) / ms);
  const shares = perSecond.map((rate, round) => rate / (limits[round] ?? Number.NaN));
  printTable(
    [
      'one bcrypt, ms',
      `${cores} cores ÷ that, per s`,
      'sign-ins per s',
      'min–max',
      'of what bcrypt could',
      'min–max',
      'CPU ms each',
    ],
    [
      [
        median(bcryptMs).toFixed(0),
        median(limits).toFixed(2),
        median(perSecond).toFixed(2),
        formatSpread(perSecond, (rate) => rate.toFixed(2)),
        median(shares).toFixed(2),
        formatSpread(shares, (share) => share.toFixed(2)),
        Number.isNaN(cpuMs) ? '–' : cpuMs.toFixed(0),
      ],
    ],
  );
  console.log(
    `\nMedians of ${rounds} rounds: ${BCRYPTS} times bcrypt of cost ${COST} alone, then ${CLIENTS} clients that sign in for ` +
      `${ROUND_SECONDS} s, again at once. Nothing is pinned: both may use all cores, and the clients use some of them.`,
  );
}
