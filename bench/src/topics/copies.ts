// How long a copy of a session's cookie still opens anything after the session got a new secret: on the instance that
// answered, and on another one that shares its database. Not a rate, so there is no peer in this topic.
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoPostgres } from '../../../e2e/postgres.ts';
import { openBackchannel, PASSWORD, signIn } from '../backchannel.ts';
import { makeFolder, openServer } from '../processes.ts';
import { median, printTable } from '../report.ts';

const POLL_MS = 5;
/** The contract is one second. */
const GIVE_UP_MS = 5000;
const TIMES_PER_ROUND = 5;

export async function copies({ rounds }: { rounds: number }): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const alone = opened.use(await openBackchannel({ core: null }));
  const rows = [await measure('SQLite, the instance that answered', { at: alone.url, ask: alone.url, rounds })];
  const reason = whyNoPostgres();
  if (reason) console.log(`Two instances are not measured: there is no PostgreSQL here: ${reason}.`);
  else {
    const postgres = opened.use(await openPostgres());
    const env = { DATABASE_URL: `${postgres.url}/postgres`, SECRET_KEY: 'a-key-for-the-bench-that-everybody-may-know' };
    const [one, two] = [
      opened.use(await openBackchannel({ core: null, env })),
      opened.use(await openBackchannel({ core: null, env })),
    ];
    rows.push(await measure('PostgreSQL, the instance that answered', { at: one.url, ask: one.url, rounds }));
    rows.push(await measure('PostgreSQL, the other instance', { at: one.url, ask: two.url, rounds }));
  }
  printTable(['where the copy is tried', 'first 401: median ms', 'most ms', 'answers of 200 before it'], rows);
  console.log(
    `\nFrom the response of POST /auth/step-up to the first 401 of the old cookie, which is tried every ${POLL_MS} ms and was in ` +
      `use just before; ${rounds * TIMES_PER_ROUND} times each.`,
  );
}

const openPostgres = () =>
  openServer({
    script: 'bench/src/servers/postgres.ts',
    args: [makeFolder('postgres')],
    env: { PATH: process.env.PATH ?? '' },
    core: null,
    isParent: true,
  });

async function measure(name: string, options: { at: string; ask: string; rounds: number }): Promise<string[]> {
  const { at, ask, rounds } = options;
  const timesMs: number[] = [];
  let passed = 0;
  for (let index = 0; index < rounds * TIMES_PER_ROUND; index++) {
    const { headers } = await signIn(at);
    const tryCopy = async () => {
      const answer = await fetch(`${ask}/api/v1/auth/me`, { headers });
      await answer.arrayBuffer();
      return answer.status;
    };
    if ((await tryCopy()) !== 200) throw new Error(`the cookie does not open ${ask}`);
    const body = JSON.stringify({ password: PASSWORD });
    const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body };
    const [stepUp] = await Promise.all([fetch(`${at}/api/v1/auth/step-up`, init), tryCopy()]);
    if (stepUp.status !== 200) throw new Error(`step-up answered ${stepUp.status}: ${await stepUp.text()}`);
    const answeredAt = performance.now();
    for (;;) {
      const status = await tryCopy();
      const ms = performance.now() - answeredAt;
      if (status === 401) {
        timesMs.push(ms);
        break;
      }
      if (status !== 200 || ms > GIVE_UP_MS) throw new Error(`the copy got ${status} after ${ms} ms`);
      passed++;
      await sleep(POLL_MS);
    }
  }
  return [name, median(timesMs).toFixed(0), Math.max(...timesMs).toFixed(0), String(passed)];
}
