// A load process: checks of a live session at a steady pace, each sent when its time has come whether or not the
// earlier ones are answered, as a proxy would for its visitors.
import { Agent, get } from 'node:http';
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveJobs } from './worker.ts';

export interface ChecksJob {
  url: string;
  headers: Record<string, string>;
  /** What every body has to contain. */
  includes: readonly string[];
  perSecond: number;
  durationSeconds: number;
}

export interface ChecksResult {
  /** Of each answer, in milliseconds, from sending. */
  latenciesMs: number[];
  /** The latest that this process itself was with a sending, in milliseconds. */
  latestSendMs: number;
}

const agent = new Agent({ keepAlive: true });

serveJobs(async (job: ChecksJob): Promise<ChecksResult> => {
  const sent: Promise<number>[] = [];
  const latenessUs = createHistogram();
  const startedAt = performance.now();
  for (let index = 0; index < job.perSecond * job.durationSeconds; index++) {
    const dueAt = startedAt + (index * 1000) / job.perSecond;
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    latenessUs.record(Math.max(1, Math.round((performance.now() - dueAt) * 1000)));
    const checking = check(job);
    // All are awaited below; until then a failure is not unhandled.
    checking.catch(() => {});
    sent.push(checking);
  }
  return { latenciesMs: await Promise.all(sent), latestSendMs: latenessUs.max / 1000 };
});

function check({ url, headers, includes }: ChecksJob): Promise<number> {
  return new Promise((resolve, reject) => {
    const sentAt = performance.now();
    get(url, { agent, headers }, (res) => {
      let body = '';
      res.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      res.on('error', reject).on('end', () => {
        const latencyMs = performance.now() - sentAt;
        if (res.statusCode === 200 && includes.every((part) => body.includes(part))) resolve(latencyMs);
        else reject(new Error(`A check of the live session was answered ${res.statusCode}: ${body}`));
      });
    }).on('error', reject);
  });
}
