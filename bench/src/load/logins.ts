// A load process: many clients that sign in at once, each from its own address and on its own connection, and
// again some time after each answer.
import { setMaxListeners } from 'node:events';
import { Agent, request } from 'node:http';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveJobs } from './worker.ts';

export interface LoginsJob {
  url: string;
  password: string;
  clients: number;
  /** Whether a client waits as long as Retry-After asks, or a second without it; else it tries again at once. */
  isPatient: boolean;
  durationSeconds: number;
}

export interface LoginsResult {
  /** How many answers had each status. */
  answers: Record<string, number>;
  /** How many were waiting for an answer when time was up; they hung up. */
  unanswered: number;
  /** From the first sending to the last answer of 200, in seconds. */
  signedInSeconds: number;
}

// The process that checks has the same core: its lateness would be taken for the server's.
setPriority(19);

serveJobs(async (job: LoginsJob): Promise<LoginsResult> => {
  const timeUp = AbortSignal.timeout(job.durationSeconds * 1000);
  setMaxListeners(0, timeUp);
  const result: LoginsResult = { answers: {}, unanswered: 0, signedInSeconds: 0 };
  const startedAt = performance.now();
  const repeat = async (index: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (!timeUp.aborted) {
      const answer = await login(job, { agent, localAddress: addressOf(index), signal: timeUp });
      if (answer === null) result.unanswered++;
      else result.answers[answer.status] = (result.answers[answer.status] ?? 0) + 1;
      if (answer?.status === 200) result.signedInSeconds = (performance.now() - startedAt) / 1000;
      const pauseMs = job.isPatient ? (answer?.retryAfterSeconds ?? 1) * 1000 : 0;
      await sleep(pauseMs, undefined, { signal: timeUp }).catch(() => {});
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

interface Answer {
  status: number;
  retryAfterSeconds: number | null;
}

/** Null when time was up before it came. */
function login(
  { url, password }: LoginsJob,
  options: { agent: Agent; localAddress: string; signal: AbortSignal },
): Promise<Answer | null> {
  const body = JSON.stringify({ password });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => (options.signal.aborted ? resolve(null) : reject(error));
    request(url, { method: 'POST', headers, ...options }, (res) => {
      const { statusCode = 0, headers: answered } = res;
      const retryAfterSeconds = answered['retry-after'] === undefined ? null : Number(answered['retry-after']);
      res.on('end', () => resolve({ status: statusCode, retryAfterSeconds })).on('error', fail);
      res.resume();
    })
      .on('error', fail)
      .end(body);
  });
}
