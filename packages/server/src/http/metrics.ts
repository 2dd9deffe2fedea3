/**
 * The metrics, in Prometheus' text format, on a listener of their own: they are for who runs the server, not for whoever
 * may sign in. Loaded only where METRICS_PORT is set. Every label has values from a list; none comes from a caller.
 */
import type { RequestListener } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { bracketed } from '../config/address.ts';
import type { Log } from '../log.ts';
import { hashingLanes } from '../services/password/hashing.ts';
import type { Services } from '../services/services.ts';
import type { Store } from '../store/database.ts';
import { version } from '../version.ts';
import { createConnections } from './listener/connections.ts';
import { listen, stopListening } from './listener/listen.ts';
import type { Observed } from './observe.ts';

/** From a check that the gate has kept to one that waits for bcrypt, in seconds. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface Metrics extends AsyncDisposable {
  /** Counts a request that is over. */
  readonly record: (observed: Observed) => void;
  readonly url: string;
}

/** @throws ListenError when the port can't be had. */
export async function openMetrics(options: {
  config: { metricsHost: string; metricsPort: number };
  services: Pick<Services, 'attempts' | 'hashing' | 'sessions' | 'tasks' | 'tokens'>;
  store: Pick<Store, 'missing' | 'figures'>;
  log: Log;
}): Promise<Metrics> {
  const { config, services, store, log } = options;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const record = addRequests(registry);
  addPassword(registry, services);
  addTasks(registry, services.tasks);
  addDatabase(registry, { services, store });
  const about = gauge(registry, 'backchannel_info', 'The version, as a label; always 1.', ['version']);
  about.set({ version }, 1);

  const server = createConnections(log);
  server.on('request', answer(registry));
  const port = await listen(server, {
    host: config.metricsHost,
    port: config.metricsPort,
    names: ['METRICS_HOST', 'METRICS_PORT'],
  });
  return {
    record,
    url: `http://${bracketed(config.metricsHost)}:${port}/metrics`,
    [Symbol.asyncDispose]: () => stopListening(server),
  };
}

function answer(registry: Registry): RequestListener {
  return async (req, res) => {
    const path = req.url?.replace(/\?.*/s, '');
    const refuse = (status: number, headers: Record<string, string> = {}) =>
      res.writeHead(status, { 'Content-Length': '0', ...headers }).end();
    if (path !== '/metrics') return refuse(404);
    if (req.method !== 'GET' && req.method !== 'HEAD') return refuse(405, { Allow: 'GET, HEAD' });
    try {
      const text = await registry.metrics();
      res.writeHead(200, { 'Content-Type': registry.contentType }).end(text);
    } catch {
      refuse(500);
    }
  };
}

function addRequests(registry: Registry): Metrics['record'] {
  const requests = new Counter({
    name: 'backchannel_requests_total',
    help: 'Requests that are over, by what they asked for; status aborted where the caller left before the answer.',
    labelNames: ['face', 'operation', 'status'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'backchannel_request_duration_seconds',
    help: 'From the end of a request’s headers to the end of its answer.',
    labelNames: ['face', 'operation'],
    buckets: BUCKETS,
    registers: [registry],
  });
  return ({ face, operation, status, seconds }) => {
    requests.inc({ face, operation, status });
    durations.observe({ face, operation }, seconds);
  };
}

function addPassword(registry: Registry, { attempts, hashing }: Pick<Services, 'attempts' | 'hashing'>): void {
  counter(registry, 'backchannel_password_checks_total', {
    help: 'Passwords tried: to sign in, or to show one again (step-up).',
    labelNames: ['purpose', 'outcome'],
    read: () => attempts.figures().map(({ count, ...labels }) => ({ labels, value: count })),
  });
  const total = (name: string, help: string, read: () => number) =>
    counter(registry, name, { help, labelNames: [], read: () => [{ labels: {}, value: read() }] });
  const { figures } = hashing;
  total('backchannel_bcrypt_jobs_total', 'Passwords hashed or checked.', () => figures().done);
  total('backchannel_bcrypt_wait_seconds_total', 'How long they waited for their turn, all together.', () => {
    return figures().waitedSeconds;
  });
  total('backchannel_bcrypt_work_seconds_total', 'How long they took then, all together.', () => {
    return figures().workedSeconds;
  });
  gauge(registry, 'backchannel_bcrypt_running', 'Passwords being hashed or checked.', [], (each) => {
    each.set(figures().running);
  });
  gauge(registry, 'backchannel_bcrypt_waiting', 'Passwords that wait for it; 16 a lane at most.', ['lane'], (each) => {
    const { waiting } = figures();
    for (const lane of hashingLanes) each.set({ lane }, waiting[lane]);
  });
}

function addTasks(registry: Registry, { figures }: Pick<Services['tasks'], 'figures'>): void {
  const rows = (value: (task: ReturnType<typeof figures>[number]) => number) =>
    figures().map((task) => ({ labels: { task: task.name }, value: value(task) }));
  counter(registry, 'backchannel_task_runs_total', {
    help: 'Runs of background tasks.',
    labelNames: ['task'],
    read: () => rows(({ runs }) => runs),
  });
  counter(registry, 'backchannel_task_failures_total', {
    help: 'Runs of background tasks that failed.',
    labelNames: ['task'],
    read: () => rows(({ failures }) => failures),
  });
  gauge(registry, 'backchannel_task_last_seconds', 'How long the last run of a task took.', ['task'], (each) => {
    for (const { labels, value } of rows(({ lastSeconds }) => lastSeconds)) each.set(labels, value);
  });
}

function addDatabase(
  registry: Registry,
  { services, store }: { services: Pick<Services, 'sessions' | 'tokens'>; store: Pick<Store, 'missing' | 'figures'> },
): void {
  gauge(registry, 'backchannel_database_up', 'Whether the database answers and is migrated.', [], async (each) => {
    each.set((await store.missing()).length === 0 ? 1 : 0);
  });
  gauge(registry, 'backchannel_database_writes_waiting', 'Writes under way or in their queue.', [], (each) => {
    each.set(store.figures().writesWaiting);
  });
  if (store.figures().pool) {
    gauge(
      registry,
      'backchannel_database_connections',
      'Connections to PostgreSQL; waiting: who waits for one.',
      ['state'],
      (each) => {
        for (const [state, count] of Object.entries(store.figures().pool ?? {})) each.set({ state }, count);
      },
    );
  }
  for (const [name, help, count] of [
    ['backchannel_sessions_live', 'Sessions that are live.', () => services.sessions.countLive()],
    ['backchannel_tokens_live', 'API tokens that are live.', () => services.tokens.countLive()],
  ] as const) {
    gauge(registry, name, `${help} Not there while the database is away.`, [], async (each) => {
      const live = await count().catch(() => null);
      if (live === null) each.remove();
      else each.set(live);
    });
  }
}

/** A gauge that is read when it is asked for. */
function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  read?: (each: Gauge) => void | Promise<void>,
): Gauge {
  return new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    ...(read && {
      collect() {
        return read(this);
      },
    }),
  });
}

/** A counter whose counts are kept elsewhere, and read when they are asked for. */
function counter(
  registry: Registry,
  name: string,
  options: {
    help: string;
    labelNames: string[];
    read: () => { labels: Record<string, string>; value: number }[];
  },
): void {
  const { help, labelNames, read } = options;
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, value } of read()) this.inc(labels, value);
    },
  });
}
