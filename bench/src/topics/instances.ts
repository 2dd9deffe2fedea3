// What BackChannel costs on PostgreSQL, as one instance and as two that are under load at the same time, beside the same on
// SQLite: its own time and the database's.
import { whyNoPostgres } from '../../../e2e/postgres.ts';
import { openBackchannel, PASSWORD, signIn } from '../backchannel.ts';
import type { BcryptJob } from '../load/bcrypt.ts';
import type { FillTokensJob } from '../load/fill-tokens.ts';
import { describeCores, findCores } from '../machine.ts';
import { CONNECTIONS, type Sample, sample, type Target } from '../measure.ts';
import { untilIdle } from '../proc.ts';
import { makeFolder, openServer, openWorker, type ServerProcess } from '../processes.ts';
import { formatCount, formatSpread, median, printTable } from '../report.ts';

const TIMES = { warmUpSeconds: 1, roundSeconds: 0.3 };
/** There are fewer of them in a second. */
const SIGN_IN_ROUND_SECONDS = 0.5;
const TEN = 10;
/** BackChannel keeps what it has found of 10,000, whatever their turn: by the time that one comes again it is forgotten. */
const TOKENS = 20_000;
/** Of the built-in password, with the least that bcrypt can do: what is measured of a sign-in is the rest. */
const PASSWORD_HASH = '$2b$04$VvJF0B/3TRLBc5H5D69yeeGfaMoKoNHkS2PvY.ZThIRfvTr3kBWRm';
const BCRYPT_COST = 4;
/** So few that each sign-in of a round ends another one, on any machine. */
const SESSION_MAX_LIVE = 20;
/** Below the sixteen that the server lets wait. */
const SIGN_IN_CLIENTS = 8;

/** What is measured of it, at every place alike. */
type Request = Pick<Target, 'status' | 'includes' | 'method' | 'body' | 'connections' | 'tokens'> & {
  name: string;
  path: string;
};

const reads: readonly Request[] = [
  { name: 'verify', path: '/api/v1/auth/verify', status: 204, includes: [] },
  { name: 'me', path: '/api/v1/auth/me', includes: ['"authenticated":true'] },
  {
    name: `verify, ${formatCount(TOKENS)} tokens`,
    path: '/api/v1/auth/verify',
    status: 204,
    includes: [],
    tokens: TOKENS,
  },
  { name: 'ten sessions', path: '/api/v1/auth/sessions', includes: ['"current":true'] },
  { name: 'ten events', path: `/api/v1/auth/events?limit=${TEN}`, includes: ['"nextCursor":'] },
];
const signIns: Request = {
  name: 'sign-in',
  path: '/api/v1/auth/login',
  includes: ['"authenticated":true'],
  method: 'POST',
  body: JSON.stringify({ password: PASSWORD }),
  connections: SIGN_IN_CLIENTS,
};

/** The servers of one row, and a session that all of them know. */
interface Place {
  name: string;
  servers: readonly [ServerProcess, ...ServerProcess[]];
  headers: Record<string, string>;
  databasePid?: number;
}

export async function instances({ rounds }: { rounds: number }): Promise<void> {
  const reason = whyNoPostgres();
  if (reason) {
    console.log(`Not measured: there is no PostgreSQL here: ${reason}.`);
    return;
  }
  const cores = findCores();
  await using opened = new AsyncDisposableStack();
  const places = await openPlaces(opened, cores?.server ?? null);
  const targets = reads.flatMap((request) => places.map((place) => targetOf(request, place, () => writeUses(place))));
  const samples = await sample(targets, { rounds, cores, ...TIMES });
  // Each opens a session, and there are ten no more.
  const last = places.map((place) => targetOf(signIns, place, () => untilAllIdle(place)));
  samples.push(...(await sample(last, { rounds, cores, ...TIMES, roundSeconds: SIGN_IN_ROUND_SECONDS })));
  const bcryptMs = await measureBcrypt(cores?.server ?? null);

  const head = ['request', 'on', 'req/s', 'min–max', 'CPU µs/req', 'of PostgreSQL', 'both ÷ SQLite'];
  const rows = [...reads, signIns].flatMap(({ name }, index) => {
    const these = samples.slice(index * places.length, (index + 1) * places.length);
    return places.map((place, at) => row([name, place.name], these[at] ?? [], these[0] ?? []));
  });
  printTable(head, rows);
  console.log(
    `\nMedians of ${rounds} interleaved rounds of ${TIMES.roundSeconds} s after ${TIMES.warmUpSeconds} s of warm-up for each server, ` +
      `${CONNECTIONS} keep-alive connections to each; of sign-ins ${SIGN_IN_ROUND_SECONDS} s and ${SIGN_IN_CLIENTS}. ` +
      `${describeCores(cores)} Both instances share theirs; PostgreSQL is not pinned and uses what is left.`,
  );
  console.log(
    `Counted with a round is what it leaves to be written, of each session or token used one row. The gate keeps 10,000 ` +
      `answers, so of ${formatCount(TOKENS)} tokens by turns none; a turn took ${shortestTurn(samples, targets).toFixed(1)} s ` +
      `or more. Sign-ins are with a bcrypt of cost ${BCRYPT_COST}, ${bcryptMs.toFixed(1)} ms, and each ends another ` +
      `session, for there are ${SESSION_MAX_LIVE}: SESSION_MAX_LIVE.`,
  );
}

async function openPlaces(opened: AsyncDisposableStack, core: number | null): Promise<Place[]> {
  const folder = makeFolder('sqlite');
  const script = 'bench/src/servers/postgres.ts';
  const { PATH = '' } = process.env;
  const postgres = opened.use(
    await openServer({ script, args: [makeFolder('postgres')], env: { PATH }, core: null, isParent: true }),
  );
  const database = `${postgres.url}/postgres`;
  const env = { MASTER_PASSWORD_HASH: PASSWORD_HASH, SESSION_MAX_LIVE: String(SESSION_MAX_LIVE) };
  const shared = { ...env, DATABASE_URL: database, SECRET_KEY: 'a-key-for-the-bench-that-everybody-may-know' };
  const sqlite = opened.use(await openBackchannel({ core, folder, env }));
  const one = opened.use(await openBackchannel({ core, env: shared }));
  const other = opened.use(await openBackchannel({ core, env: shared }));

  await using filling = openWorker<FillTokensJob, object>({ script: 'bench/src/load/fill-tokens.ts', core: null });
  await filling.run({ database: `${folder}/data/backchannel.db`, tokens: TOKENS });
  await filling.run({ database, tokens: TOKENS });
  const headers = await openTen(one);
  const databasePid = postgres.pid;
  return [
    { name: 'SQLite', servers: [sqlite], headers: await openTen(sqlite) },
    { name: 'PostgreSQL', servers: [one], headers, databasePid },
    { name: 'PostgreSQL, two at once', servers: [one, other], headers, databasePid },
  ];
}

/** Ten live sessions; the headers of one of them. */
async function openTen({ url }: ServerProcess): Promise<Record<string, string>> {
  for (let index = 1; index < TEN; index++) await signIn(url);
  return (await signIn(url)).headers;
}

function targetOf({ name, path, ...request }: Request, place: Place, settle: () => Promise<void>): Target {
  const [{ url, pid }, ...others] = place.servers;
  const json = { 'content-type': 'application/json' };
  return {
    ...request,
    name: `${name} on ${place.name}`,
    url: url + path,
    pid,
    besides: others.map((server) => ({ url: server.url + path, pid: server.pid })),
    // A token decides alone, and who signs in has no session yet.
    headers: request.method === 'POST' ? json : request.tokens === undefined ? place.headers : {},
    ...(place.databasePid !== undefined && { databasePid: place.databasePid }),
    settle,
  };
}

/** Has every instance write now what it would write within five seconds, in some other target's round. */
async function writeUses({ servers, headers }: Place): Promise<void> {
  for (const { url } of servers) {
    const answer = await fetch(`${url}/api/v1/client/stats`, { headers });
    const body = await answer.text();
    if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}: ${body}`);
  }
}

async function untilAllIdle({ servers }: Place): Promise<void> {
  await Promise.all(servers.map(({ pid }) => untilIdle(pid)));
}

async function measureBcrypt(core: number | null): Promise<number> {
  await using bcrypt = openWorker<BcryptJob, { eachMs: number[] }>({ script: 'bench/src/load/bcrypt.ts', core });
  return median((await bcrypt.run({ password: PASSWORD, cost: BCRYPT_COST, times: 99 })).eachMs);
}

/** How long it took until a token's turn came again on one instance, at the least, in seconds. */
function shortestTurn(samples: readonly Sample[][], targets: readonly Target[]): number {
  const cold = samples.flatMap((each, index) => (targets[index]?.tokens === undefined ? [] : each));
  return TOKENS / Math.max(...cold.map(({ perSecond }) => perSecond));
}

function row(names: string[], samples: readonly Sample[], onSqlite: readonly Sample[]): string[] {
  const rates = samples.map(({ perSecond }) => perSecond);
  const cpuUs = median(samples.map((each) => each.cpuUs ?? Number.NaN));
  const databaseUs = median(samples.map((each) => each.databaseCpuUs ?? Number.NaN));
  const sqliteUs = median(onSqlite.map((each) => each.cpuUs ?? Number.NaN));
  const bothUs = cpuUs + (Number.isNaN(databaseUs) ? 0 : databaseUs);
  return [
    ...names,
    formatCount(median(rates)),
    formatSpread(rates, formatCount),
    Number.isNaN(cpuUs) ? '–' : formatCount(cpuUs),
    Number.isNaN(databaseUs) ? '–' : formatCount(databaseUs),
    Number.isNaN(bothUs) ? '–' : (bothUs / sqliteUs).toFixed(1),
  ];
}
