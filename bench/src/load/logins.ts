// A load process: many clients that sign in at once, each from an address of its own and on a connection of its own, and
// again some time after each answer.
import { setMaxListeners } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveJobs } from './worker.ts';

export interface LoginsJob {
  url: string;
  password: string;
  clients: number;
  /** Between an answer and the same client's next try, in milliseconds. */
  pauseMs: number;
  durationSeconds: number;
}

export interface LoginsResult {
  /** How many answers had each status. */
  answers: Record<string, number>;
  /** How many were waiting for an answer when time was up; they hung up. */
  unanswered: number;
}

serveJobs(async (job: LoginsJob): Promise<LoginsResult> => {
  const timeUp = AbortSignal.timeout(job.durationSeconds * 1000);
  setMaxListeners(0, timeUp);
  const result: LoginsResult = { answers: {}, unanswered: 0 };
  const repeat = async (index: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!timeUp.aborted) {
      const status = await login(job, { agent, localAddress: addressOf(index), signal: timeUp });
      if (status === null) result.unanswered++;
      else result.answers[status] = (result.answers[status] ?? 0) + 1;
      await sleep(job.pauseMs, undefined, { signal: timeUp }).catch(() => {});
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: job.clients }, (_, index) => repeat(index)));
  return result;
});

/** Linux has all of 127.0.0.0/8 without further ado; elsewhere all come from one address. */
function addressOf(index: number): string {
  return process.platform === 'linux' ? `127.1.${index >> 8}.${index & 255}` : '127.0.0.1';
}

/** The status; null when time was up before it came. */
function login(
  { url, password }: LoginsJob,
  options: { agent: Agent; localAddress: string; signal: AbortSignal },
): Promise<number | null> {
  const body = JSON.stringify({ password });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => (options.signal.aborted ? resolve(null) : reject(error));
    request(url, { method: 'POST', headers, ...options }, (res) => {
      res.on('end', () => resolve(res.statusCode ?? 0)).on('error', fail);
      res.resume();
    })
      .on('error', fail)
      .end(body);
  });
}
