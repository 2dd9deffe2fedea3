// What forward-auth adds to a page: the same one at a steady pace straight from the application, through nginx, and through
// nginx that asks BackChannel first.
import { spawnSync } from 'node:child_process';
import { openBackchannel, signIn } from '../backchannel.ts';
import type { ChecksJob, ChecksResult } from '../load/checks.ts';
import { describeCores, findCores } from '../machine.ts';
import { makeFolder, openServer, openWorker } from '../processes.ts';
import { formatCount, formatSpread, median, percentile, printTable } from '../report.ts';

const PAGES_PER_SECOND = 200;
const ROUND_SECONDS = 2;
const WARM_UP_SECONDS = 1;
/** A small page, in characters. */
const PAGE_LENGTH = 10_000;

export async function proxy({ rounds }: { rounds: number }): Promise<void> {
  if (spawnSync('nginx', ['-v']).error) {
    console.log('Not measured: there is no nginx here. Debian has it: apt-get install nginx.');
    return;
  }
  const cores = findCores();
  const core = cores?.server ?? null;
  await using opened = new AsyncDisposableStack();
  const backchannel = opened.use(await openBackchannel({ core }));
  const { headers } = await signIn(backchannel.url);
  const page = JSON.stringify({ page: 'x'.repeat(PAGE_LENGTH) });
  const open = async (name: string, args: string[]) => {
    const { PATH = '' } = process.env;
    const script = `bench/src/servers/${name}.ts`;
    return opened.use(await openServer({ script, args, env: { PATH }, core, isParent: name === 'nginx' }));
  };
  const application = await open('floor', [page]);
  const { port } = new URL(backchannel.url);
  const openNginx = (...more: string[]) => open('nginx', [port, application.url, makeFolder('nginx'), ...more]);
  const guarded = await openNginx();
  await refuseStrangers(guarded.url);
  const targets = [
    { name: 'the application', url: application.url },
    { name: 'nginx in front of it', url: (await openNginx('--open')).url },
    { name: 'nginx that asks BackChannel', url: guarded.url },
  ].map((target) => ({ ...target, results: [] as ChecksResult[] }));

  await using load = openWorker<ChecksJob, ChecksResult>({
    script: 'bench/src/load/checks.ts',
    core: cores?.load ?? null,
  });
  const ask = (url: string, durationSeconds: number) =>
    load.run({ url: `${url}/page`, headers, includes: [page], perSecond: PAGES_PER_SECOND, durationSeconds });
  for (const { url } of targets) await ask(url, WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) target.results.push(await ask(target.url, ROUND_SECONDS));
  }

  printTable(
    ['page from', 'pages', 'p50 ms', 'min–max', 'p99 ms', 'min–max'],
    targets.map(({ name, results }) => [
      name,
      formatCount(results.reduce((total, { latenciesMs }) => total + latenciesMs.length, 0)),
      ...[0.5, 0.99].flatMap((share) => {
        const each = results.map(({ latenciesMs }) => percentile(latenciesMs, share));
        return [median(each).toFixed(2), formatSpread(each, (value) => value.toFixed(2))];
      }),
    ]),
  );
  const latestSendMs = Math.max(...targets.flatMap(({ results }) => results.map((each) => each.latestSendMs)));
  console.log(
    `\nMedians of ${rounds} interleaved rounds of ${ROUND_SECONDS} s; ${PAGES_PER_SECOND} pages a second, sent whether or ` +
      `not earlier ones are answered; ${formatCount(PAGE_LENGTH)} bytes each. nginx, BackChannel and the application share a ` +
      `core. ${describeCores(cores)}\nThe process that asks was itself up to ${latestSendMs.toFixed(0)} ms late.`,
  );
}

/** Without a session there is no page: else nothing would be measured. */
async function refuseStrangers(url: string): Promise<void> {
  const { status } = await fetch(`${url}/page`);
  if (status !== 401) throw new Error(`nginx answered a stranger ${status}`);
}
