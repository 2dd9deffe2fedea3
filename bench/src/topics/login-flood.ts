// What checks of a live session notice of a flood of logins: a steady stream of checks while all is calm, and while many
// clients sign in at once.
import { openBackchannel, PASSWORD, signIn } from '../backchannel.ts';
import type { ChecksJob, ChecksResult } from '../load/checks.ts';
import type { LoginsJob, LoginsResult } from '../load/logins.ts';
import { describeCores, findCores } from '../machine.ts';
import { untilIdle } from '../proc.ts';
import { openWorker } from '../processes.ts';
import { formatCount, percentile, printTable } from '../report.ts';

const CHECKS_PER_SECOND = 200;
const CLIENTS = 200;
const PHASE_SECONDS = 3;
const WARM_UP_SECONDS = 2;

interface Flood {
  name: string;
  password: string;
  isPatient: boolean;
  checks: ChecksResult[];
  logins: LoginsResult[];
}

export async function loginFlood({ rounds }: { rounds: number }): Promise<void> {
  const cores = findCores();
  const core = cores?.load ?? null;
  await using backchannel = await openBackchannel({ core: cores?.server ?? null });
  await using checks = openWorker<ChecksJob, ChecksResult>({ script: 'bench/src/load/checks.ts', core });
  await using logins = openWorker<LoginsJob, LoginsResult>({ script: 'bench/src/load/logins.ts', core });
  const { headers, sessionId } = await signIn(backchannel.url);
  const job = {
    url: `${backchannel.url}/api/v1/auth/me`,
    headers,
    includes: ['"authenticated":true', `"id":"${sessionId}"`],
    perSecond: CHECKS_PER_SECOND,
  };
  const check = (durationSeconds: number) => checks.run({ ...job, durationSeconds });
  const signInOften = ({ password, isPatient }: Flood) =>
    logins.run({
      url: `${backchannel.url}/api/v1/auth/login`,
      password,
      isPatient,
      clients: CLIENTS,
      durationSeconds: PHASE_SECONDS,
    });

  const calm: ChecksResult[] = [];
  // The wrong password last: where too many were wrong, the right one is refused for a while as well.
  const floods: Flood[] = [
    {
      name: 'right password, again when Retry-After says',
      password: PASSWORD,
      isPatient: true,
      checks: [],
      logins: [],
    },
    { name: 'wrong password, again at once', password: 'not the password', isPatient: false, checks: [], logins: [] },
  ];
  await check(WARM_UP_SECONDS);
  for (const flood of floods) {
    for (let round = 0; round < rounds; round++) {
      calm.push(await check(PHASE_SECONDS));
      const [checked, answered] = await Promise.all([check(PHASE_SECONDS), signInOften(flood)]);
      flood.checks.push(checked);
      flood.logins.push(answered);
      await untilIdle(backchannel.pid);
    }
  }

  const calmP99Ms = percentile(latencies(calm), 0.99);
  printTable(
    ['logins', 'checks', 'p50 ms', 'p99 ms', 'max ms', 'p99 ÷ calm', '200', '401', '429', '503', 'unanswered'],
    [
      ['none: calm', ...checkColumns(calm, calmP99Ms), ...Array<string>(5).fill('–')],
      ...floods.map((flood) => [flood.name, ...checkColumns(flood.checks, calmP99Ms), ...loginColumns(flood.logins)]),
    ],
  );
  console.log(
    `\n${CHECKS_PER_SECOND} checks a second, sent whether or not earlier ones are answered; ${CLIENTS} clients sign in ` +
      `at once from as many addresses; ${rounds} rounds of ${PHASE_SECONDS} s of each. ${describeCores(cores)}`,
  );
  const latestSendMs = Math.max(
    ...[calm, ...floods.map((flood) => flood.checks)].flat().map((each) => each.latestSendMs),
  );
  console.log(`The process that checks was itself up to ${latestSendMs.toFixed(0)} ms late: that much is noise.`);
}

const latencies = (checks: readonly ChecksResult[]): number[] => checks.flatMap(({ latenciesMs }) => latenciesMs);

function checkColumns(checks: readonly ChecksResult[], calmP99Ms: number): string[] {
  const all = latencies(checks);
  const p99Ms = percentile(all, 0.99);
  const inMs = [percentile(all, 0.5), p99Ms, percentile(all, 1)].map((value) => value.toFixed(2));
  return [formatCount(all.length), ...inMs, (p99Ms / calmP99Ms).toFixed(1)];
}

/** How many were answered 200, 401, 429 and 503, and how many not at all. */
function loginColumns(logins: readonly LoginsResult[]): string[] {
  const sum = (of: (each: LoginsResult) => number) => formatCount(logins.reduce((total, each) => total + of(each), 0));
  return [
    ...['200', '401', '429', '503'].map((status) => sum(({ answers }) => answers[status] ?? 0)),
    sum(({ unanswered }) => unanswered),
  ];
}
