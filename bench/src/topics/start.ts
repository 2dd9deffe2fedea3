// How long it takes from starting the process to its first answer, and what memory it holds then, beside bare servers.
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBackchannel } from '../backchannel.ts';
import { readRssBytes } from '../proc.ts';
import { makeFolder, openServer, type ServerProcess } from '../processes.ts';
import { formatSpread, median, printTable } from '../report.ts';

/** After the first answer, until memory is read. */
const IDLE_MS = 4000;
/** Of the built-in password, so that a start with it does what a start without it does. */
const PASSWORD_HASH = '$2b$12$s2kkj2Yn3ElMr1X9f9GCvuSho21fwsSRBmMQeNSmScotGl107Gp.e';

interface Start {
  answeredMs: number;
  rssMb: number;
}

export async function start({ rounds }: { rounds: number }): Promise<void> {
  const bare = (name: string) => () => openServer({ script: `bench/src/servers/${name}.ts`, core: null });
  let folder = '';
  const compiled = makeFolder('compiled');
  const kinds: { name: string; path: string; open: () => Promise<ServerProcess>; starts: Start[] }[] = [
    { name: 'node:http, bare', path: '/', open: bare('floor'), starts: [] },
    { name: 'Express, bare', path: '/api/v1/auth/me', open: bare('express'), starts: [] },
    {
      name: 'BackChannel, first start in a new folder',
      path: '/api/v1/auth/status',
      open: () => {
        folder = makeFolder('start');
        return openBackchannel({ core: null, folder, env: { NODE_COMPILE_CACHE: `${folder}/compiled` } });
      },
      starts: [],
    },
    {
      name: 'BackChannel, second start',
      path: '/api/v1/auth/status',
      open: () => openBackchannel({ core: null, folder }),
      starts: [],
    },
    {
      name: 'BackChannel, third start, with MASTER_PASSWORD_HASH',
      path: '/api/v1/auth/status',
      open: () => openBackchannel({ core: null, folder, env: { MASTER_PASSWORD_HASH: PASSWORD_HASH } }),
      starts: [],
    },
    {
      name: 'BackChannel, the same with NODE_COMPILE_CACHE',
      path: '/api/v1/auth/status',
      open: () => {
        const env = { MASTER_PASSWORD_HASH: PASSWORD_HASH, NODE_COMPILE_CACHE: compiled };
        return openBackchannel({ core: null, folder, env });
      },
      starts: [],
    },
  ];

  // Round 0 brings the files into the page cache and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const { path, open, starts } of kinds) {
      const measured = await measureStart(open, path);
      if (round > 0) starts.push(measured);
    }
  }

  printTable(
    ['server', 'first answer ms', 'min–max', 'RSS MB'],
    kinds.map(({ name, starts }) => {
      const answered = starts.map(({ answeredMs }) => answeredMs);
      const rssMb = median(starts.map((each) => each.rssMb));
      return [
        name,
        median(answered).toFixed(0),
        formatSpread(answered, (value) => value.toFixed(0)),
        Number.isNaN(rssMb) ? '–' : rssMb.toFixed(0),
      ];
    }),
  );
  console.log(
    `\nMedians of ${rounds} interleaved rounds after one that does not count. Not pinned: a start uses threads.`,
  );
  console.log(
    `RSS is read ${IDLE_MS / 1000} s after the first answer. A first start finds no code cache of V8's either.`,
  );
}

async function measureStart(open: () => Promise<ServerProcess>, path: string): Promise<Start> {
  const startedAt = performance.now();
  await using server = await open();
  await request(server.url + path);
  const answeredMs = performance.now() - startedAt;
  await sleep(IDLE_MS);
  const rssBytes = readRssBytes(server.pid);
  return { answeredMs, rssMb: rssBytes === null ? Number.NaN : rssBytes / 2 ** 20 };
}

/** On a separate connection, which is closed afterwards. */
function request(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (res) => {
      if (res.statusCode !== 200) reject(new Error(`${url} answered ${res.statusCode}`));
      res.on('end', resolve).on('error', reject).resume();
    }).on('error', reject);
  });
}
