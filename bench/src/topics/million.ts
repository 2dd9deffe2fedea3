// Whether a database that holds a million sessions and a million events answers as fast as one that holds ten.
import { openBackchannel, signIn } from '../backchannel.ts';
import type { FillJob } from '../load/fill.ts';
import { describeCores, findCores } from '../machine.ts';
import { CONNECTIONS, sample, type Target } from '../measure.ts';
import { makeFolder, openWorker, type ServerProcess } from '../processes.ts';
import { formatCount, formatSpread, median, printTable } from '../report.ts';

const MILLION = 1_000_000;
/** Of live sessions, of tokens, and of the events on a page: the same in both, so that the answers are of one size. */
const TEN = 10;
/**
 * Short enough for all of it to be over in the minute before the server begins to delete the sessions that have ended,
 * which would be measured along.
 */
const TIMES = { warmUpSeconds: 0.8, roundSeconds: 0.8 };

const paths: readonly { path: string; includes: readonly string[]; status?: number }[] = [
  { path: '/api/v1/auth/verify', status: 204, includes: [] },
  { path: '/api/v1/auth/me', includes: ['"authenticated":true'] },
  { path: '/api/v1/auth/sessions', includes: ['"current":true'] },
  { path: '/api/v1/auth/tokens', includes: ['"prefix":"'] },
  { path: `/api/v1/auth/events?limit=${TEN}`, includes: ['"nextCursor":'] },
  { path: `/api/v1/auth/events?limit=${TEN}&type=login.succeeded`, includes: ['"type":"login.succeeded"'] },
  { path: '/api/v1/client/dashboard', includes: ['"loginsPerDay":'] },
];

export async function million({ rounds }: { rounds: number }): Promise<void> {
  const cores = findCores();
  const core = cores?.server ?? null;
  const folder = makeFolder('million');
  // A first start makes the tables.
  await (await openBackchannel({ core, folder }))[Symbol.asyncDispose]();
  const { bytes, seconds } = await fill({ file: `${folder}/data/backchannel.db`, sessions: MILLION, events: MILLION });

  await using small = await openBackchannel({ core });
  const atSmall = await prepare(small);
  await using big = await openBackchannel({ core, folder });
  const atBig = await prepare(big);
  const targets = paths.flatMap(({ path, ...expected }): Target[] => [
    { name: path, url: small.url + path, pid: small.pid, headers: atSmall, ...expected },
    { name: path, url: big.url + path, pid: big.pid, headers: atBig, ...expected },
  ]);
  const samples = await sample(targets, { rounds, cores, ...TIMES });

  printTable(
    ['target', 'with ten, req/s', 'with a million', 'of that with ten', 'min–max', 'CPU µs/req, ten', 'a million'],
    paths.map(({ path }, index) => {
      const [ten = [], filled = []] = samples.slice(2 * index, 2 * index + 2);
      const shares = filled.map(({ perSecond }, round) => perSecond / (ten[round]?.perSecond ?? Number.NaN));
      const cpu = [ten, filled].map((each) => median(each.map(({ cpuUs }) => cpuUs ?? Number.NaN)));
      return [
        path,
        ...[ten, filled].map((each) => formatCount(median(each.map(({ perSecond }) => perSecond)))),
        median(shares).toFixed(2),
        formatSpread(shares, (share) => share.toFixed(2)),
        ...cpu.map((us) => (Number.isNaN(us) ? '–' : us.toFixed(0))),
      ];
    }),
  );
  console.log(
    `\nMedians of ${rounds} interleaved rounds of ${TIMES.roundSeconds} s after ${TIMES.warmUpSeconds} s of warm-up, ` +
      `${CONNECTIONS} keep-alive connections. ${describeCores(cores)}`,
  );
  console.log(
    `Ten sessions are live in both; the million have ended and wait to be deleted. Filled by SQL in ${seconds.toFixed(0)} s, ` +
      `${formatCount(bytes / 2 ** 20)} MB.`,
  );
}

async function fill(job: FillJob): Promise<{ bytes: number; seconds: number }> {
  await using filling = openWorker<FillJob, { bytes: number }>({ script: 'bench/src/load/fill.ts', core: null });
  const startedAt = performance.now();
  const { bytes } = await filling.run(job);
  return { bytes, seconds: (performance.now() - startedAt) / 1000 };
}

/** Ten live sessions and ten tokens; the headers of one of the sessions. */
async function prepare({ url }: ServerProcess): Promise<Record<string, string>> {
  for (let index = 1; index < TEN; index++) await signIn(url);
  const { headers } = await signIn(url);
  for (let index = 0; index < TEN; index++) {
    const answer = await fetch(`${url}/api/v1/auth/tokens`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `bench ${index}`, scope: 'read' }),
    });
    if (answer.status !== 200) throw new Error(`A token was answered ${answer.status}: ${await answer.text()}`);
  }
  return headers;
}
