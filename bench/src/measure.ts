// Measures several targets beside one another: rounds interleaved A B C A B C, so that what changes on the machine
// while the run lasts changes for all of them, and each round's ratios are taken within that round.
import type { SaturateJob, SaturateResult } from './load/saturate.ts';
import { type Cores, describeCores } from './machine.ts';
import { readCpuMs, readTreeCpuMs } from './proc.ts';
import { openWorker } from './processes.ts';
import { formatCount, formatSpread, median, printTable } from './report.ts';

export interface Target {
  name: string;
  url: string;
  headers: Record<string, string>;
  /** The status that every response must have; 200 by default. */
  status?: number;
  /** What every body has to contain. */
  includes: readonly string[];
  /** The process whose time is counted. */
  pid: number;
  /** GET by default. */
  method?: 'POST';
  body?: string;
  /** CONNECTIONS by default. */
  connections?: number;
  /** With each request the next of the tokens that load/fill-tokens.ts has made, so many of them by turns. */
  tokens?: number;
  /** Other servers that get the same load at the same time; what all of them do is added up. */
  besides?: readonly { url: string; pid: number }[];
  /** The process that a database is below, whose time is counted, too. */
  databasePid?: number;
  /** Waits for what a round has left undone, so that its time is counted with that round. */
  settle?: () => Promise<void>;
}

export interface Sample extends SaturateResult {
  /** Time of the server's process per request, in microseconds; null where it cannot be read. */
  cpuUs: number | null;
  /** The same of the database's; null where there is none. */
  databaseCpuUs: number | null;
}

export const CONNECTIONS = 32;
/** Long enough for V8 to have compiled what is hot, before anything counts. */
const WARM_UP_SECONDS = 1.5;
const ROUND_SECONDS = 1;

/** Takes the targets by turns; a list of samples for each of them, one a round. */
export async function sample(
  targets: readonly Target[],
  options: { rounds: number; cores: Cores | null; warmUpSeconds: number; roundSeconds: number },
): Promise<Sample[][]> {
  await using opened = new AsyncDisposableStack();
  const loads = Array.from({ length: Math.max(...targets.map((target) => serversOf(target).length)) }, () =>
    opened.use(
      openWorker<SaturateJob, SaturateResult>({
        script: 'bench/src/load/saturate.ts',
        core: options.cores?.load ?? null,
      }),
    ),
  );
  const measure = async (target: Target, durationSeconds: number): Promise<Sample> => {
    const servers = serversOf(target);
    const { headers, includes, method = 'GET', body, tokens, status = 200, connections = CONNECTIONS } = target;
    const job: Omit<SaturateJob, 'url'> = {
      headers,
      includes,
      method,
      status,
      connections,
      durationSeconds,
      body,
      tokens,
    };
    const before = readTimes(target);
    const results = await Promise.all(
      loads.slice(0, servers.length).map((load, index) => load.run({ ...job, url: servers[index]?.url ?? '' })),
    );
    await target.settle?.();
    const after = readTimes(target);
    const result = results.reduce(add);
    // When time is up, each connection is waiting for an answer.
    const served = result.requests + (target.settle ? connections * servers.length : 0);
    const each = (ms: number | null, msBefore: number | null) =>
      ms === null || msBefore === null ? null : ((ms - msBefore) * 1000) / served;
    return {
      ...result,
      cpuUs: each(after.serversMs, before.serversMs),
      databaseCpuUs: each(after.databaseMs, before.databaseMs),
    };
  };
  const samples = targets.map((): Sample[] => []);
  // Each server by itself, and once: one that is alone in one target may be among several in another.
  const warm = new Set<string>();
  for (const target of targets) {
    for (const server of serversOf(target)) {
      const key = `${server.url} ${target.tokens}`;
      if (!warm.has(key)) await measure({ ...target, ...server, besides: [] }, options.warmUpSeconds);
      warm.add(key);
    }
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const [index, target] of targets.entries()) {
      samples[index]?.push(await measure(target, options.roundSeconds));
    }
  }
  return samples;
}

const serversOf = ({ url, pid, besides = [] }: Target) => [{ url, pid }, ...besides];

function readTimes(target: Target): { serversMs: number | null; databaseMs: number | null } {
  const serversMs = serversOf(target).map(({ pid }) => readCpuMs(pid) ?? Number.NaN);
  const sumMs = serversMs.reduce((total, ms) => total + ms, 0);
  return {
    serversMs: Number.isNaN(sumMs) ? null : sumMs,
    databaseMs: target.databasePid === undefined ? null : readTreeCpuMs(target.databasePid),
  };
}

/** What two servers did at the same time; of the latencies the worse. */
const add = (one: SaturateResult, other: SaturateResult): SaturateResult => ({
  requests: one.requests + other.requests,
  perSecond: one.perSecond + other.perSecond,
  p50Ms: Math.max(one.p50Ms, other.p50Ms),
  p99Ms: Math.max(one.p99Ms, other.p99Ms),
  loadCpuMs: one.loadCpuMs + other.loadCpuMs,
});

/** Prints one table. The first target is the floor that the others are compared with. */
export async function compare(
  targets: readonly Target[],
  options: { rounds: number; cores: Cores | null },
): Promise<void> {
  const { rounds, cores } = options;
  const times = { warmUpSeconds: WARM_UP_SECONDS, roundSeconds: ROUND_SECONDS };
  const samples = await sample(targets, { ...options, ...times });
  const floor = samples[0] ?? [];
  printTable(
    ['target', 'req/s', 'min–max', 'p50 ms', 'p99 ms', 'of the floor', 'min–max', 'CPU µs/req', '× floor'],
    targets.map(({ name }, index) => row(name, samples[index] ?? [], floor)),
  );
  console.log(
    `\nMedians of ${rounds} interleaved rounds of ${ROUND_SECONDS} s after ${WARM_UP_SECONDS} s of warm-up, ${CONNECTIONS} ` +
      `keep-alive connections. ${describeCores(cores)}`,
  );
  if (isDriverTheLimit(floor)) {
    console.log('The load process, not the floor, was the limit: "of the floor" flatters, "CPU × floor" does not.');
  }
}

function row(name: string, samples: readonly Sample[], floor: readonly Sample[]): string[] {
  const rates = samples.map(({ perSecond }) => perSecond);
  const shares = samples.map(({ perSecond }, round) => perSecond / (floor[round]?.perSecond ?? Number.NaN));
  const cpu = median(samples.map(({ cpuUs }) => cpuUs ?? Number.NaN));
  const floorCpu = median(floor.map(({ cpuUs }) => cpuUs ?? Number.NaN));
  return [
    name,
    formatCount(median(rates)),
    formatSpread(rates, formatCount),
    median(samples.map(({ p50Ms }) => p50Ms)).toFixed(2),
    median(samples.map(({ p99Ms }) => p99Ms)).toFixed(2),
    median(shares).toFixed(2),
    formatSpread(shares, (share) => share.toFixed(2)),
    Number.isNaN(cpu) ? '–' : cpu.toFixed(0),
    Number.isNaN(cpu) ? '–' : (cpu / floorCpu).toFixed(1),
  ];
}

/** Where a request costs the driver more time than it costs the server, the server waits for the driver. */
function isDriverTheLimit(samples: readonly Sample[]): boolean {
  const excess = samples.map(({ loadCpuMs, requests, cpuUs }) => (loadCpuMs * 1000) / requests - (cpuUs ?? Number.NaN));
  return median(excess) > 0;
}
