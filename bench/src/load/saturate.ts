// A load process: as many requests as a number of keep-alive connections can carry, one at a time on each (autocannon).
import { createHistogram } from 'node:perf_hooks';
import autocannon from 'autocannon';
import { secretOf } from '../tokens.ts';
import { serveJobs } from './worker.ts';

export interface SaturateJob {
  url: string;
  method: 'GET' | 'POST';
  headers: Record<string, string>;
  body: string | undefined;
  /** With each request the next of so many API tokens. */
  tokens: number | undefined;
  /** The status that every response must have. */
  status: number;
  /** What every body has to contain. */
  includes: readonly string[];
  connections: number;
  durationSeconds: number;
}

export interface SaturateResult {
  requests: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Time this process spent on its core, in milliseconds. */
  loadCpuMs: number;
}

/** Where a server's next request goes on: the tokens' turn does not end with a job. */
const turns = new Map<string, number>();

function nextSecret(url: string, tokens: number): string {
  const turn = turns.get(url) ?? 0;
  turns.set(url, (turn + 1) % tokens);
  return secretOf(turn);
}

serveJobs(async (job: SaturateJob): Promise<SaturateResult> => {
  // autocannon's own latencies are whole milliseconds, more than a request takes here.
  const latencyUs = createHistogram();
  const statuses = new Set<number>();
  let wrongBody: string | undefined;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let lastAt = startedAt;

  const { errors, mismatches } = await new Promise<autocannon.Result>((resolve, reject) => {
    const { url, method, headers, body, tokens, connections, durationSeconds } = job;
    const withToken = (request: autocannon.Request, each: number) => ({
      ...request,
      headers: { ...request.headers, authorization: `Bearer ${nextSecret(url, each)}` },
    });
    const options: autocannon.Options = {
      url,
      method,
      headers,
      connections,
      duration: durationSeconds,
      ...(body !== undefined && { body }),
      ...(tokens !== undefined && { requests: [{ setupRequest: (request) => withToken(request, tokens) }] }),
      // It looks only this often whether time is up, in milliseconds.
      sampleInt: 50,
      verifyBody: (body) => {
        const isRight = job.includes.every((part) => String(body).includes(part));
        if (!isRight) wrongBody ??= String(body);
        return isRight;
      },
    };
    const run = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)));
    run.on('response', (_client, status, _bytes, latencyMs) => {
      latencyUs.record(Math.max(1, Math.round(latencyMs * 1000)));
      statuses.add(status);
      lastAt = performance.now();
    });
  });

  const isRight = errors === 0 && mismatches === 0 && statuses.size === 1 && statuses.has(job.status);
  if (!isRight) {
    const told = `statuses ${[...statuses]}, ${errors} errors, ${mismatches} wrong bodies`;
    throw new Error(`${job.url} did not answer rightly each time: ${told}${wrongBody ? `, such as ${wrongBody}` : ''}`);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    requests: latencyUs.count,
    perSecond: latencyUs.count / ((lastAt - startedAt) / 1000),
    p50Ms: latencyUs.percentile(50) / 1000,
    p99Ms: latencyUs.percentile(99) / 1000,
    loadCpuMs: (user + system) / 1000,
  };
});
