/**
 * The metrics, in Prometheus' text format. They have their own listener because they are for people who run the server, not
 * for everyone who can sign in. Loaded only if METRICS_PORT is set. Label values come from fixed lists, never from callers.
 */
import type { RequestListener } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { bracketed } from '../config/address.ts';
import { messages } from '../messages.ts';
import type { RequestLog } from '../repeated-lines.ts';
import { hashingLanes } from '../services/password/hashing.ts';
import type { Services } from '../services/services.ts';
import type { Store } from '../store/database.ts';
import { version } from '../version.ts';
import { sendJson } from './answer.ts';
import { hasValidHost } from './host.ts';
import { createConnections } from './listener/connections.ts';
import { listen, stopListening } from './listener/listen.ts';
import type { Observed } from './observe.ts';
import { pathOf } from './paths.ts';

/** In seconds: from a check in the gate's memory to a request that waits for bcrypt. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface Metrics extends AsyncDisposable {
  /** Counts a finished request. */
  readonly record: (observed: Observed) => void;
  readonly url: string;
}

/** @throws ListenError when the port is not available. */
export async function openMetrics(options: {
  config: { metricsHost: string; metricsPort: number };
  services: Pick<Services, 'attempts' | 'hashing' | 'sessions' | 'tasks' | 'tokens'>;
  store: Pick<Store, 'missing' | 'figures'>;
  log: RequestLog;
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

  const server = createConnections({ log, isTrusted: () => false });
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
    const path = pathOf(req.url ?? '').replace(/\?.*/s, '');
    const refuse = (status: number, headers: Record<string, string> = {}) =>
      res.writeHead(status, { 'Content-Length': '0', ...headers }).end();
    if (!hasValidHost(req)) {
      res.shouldKeepAlive = false;
      return sendJson(res, 400, { message: messages.invalidHost, code: 'BAD_REQUEST' });
    }
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
    help: 'Finished requests. The status is aborted if the caller disconnected before the response.',
    labelNames: ['face', 'operation', 'status'],
    registers: [registry],
  });
  const durations = new Histogram({
    name: 'backchannel_request_duration_seconds',
    help: 'Time from the end of the request headers to the end of the response.',
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
    help: 'Password attempts, to sign in or to step up.',
    labelNames: ['purpose', 'outcome'],
    read: () => attempts.figures().map(({ count, ...labels }) => ({ labels, value: count })),
  });
  const total = (name: string, help: string, read: () => number) =>
    counter(registry, name, { help, labelNames: [], read: () => [{ labels: {}, value: read() }] });
  const { figures } = hashing;
  total('backchannel_bcrypt_jobs_total', 'Passwords hashed or checked.', () => figures().done);
  total('backchannel_bcrypt_wait_seconds_total', 'Total time that passwords waited to be hashed or checked.', () => {
    return figures().waitedSeconds;
  });
  total('backchannel_bcrypt_work_seconds_total', 'Total time spent hashing or checking passwords.', () => {
    return figures().workedSeconds;
  });
  gauge(registry, 'backchannel_bcrypt_running', 'Passwords being hashed or checked.', [], (each) => {
    each.set(figures().running);
  });
  gauge(
    registry,
    'backchannel_bcrypt_waiting',
    'Passwords waiting to be hashed or checked; at most 16 in each lane.',
    ['lane'],
    (each) => {
      const { waiting } = figures();
      for (const lane of hashingLanes) each.set({ lane }, waiting[lane]);
    },
  );
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
  gauge(registry, 'backchannel_database_up', 'Whether the database is available and migrated.', [], async (each) => {
    each.set((await store.missing()).length === 0 ? 1 : 0);
  });
  gauge(registry, 'backchannel_database_writes_waiting', 'Writes that are running or queued.', [], (each) => {
    each.set(store.figures().writesWaiting);
  });
  if (store.figures().pool) {
    gauge(
      registry,
      'backchannel_database_connections',
      'Connections to PostgreSQL. The state waiting counts callers that wait for one.',
      ['state'],
      (each) => {
        for (const [state, count] of Object.entries(store.figures().pool ?? {})) each.set({ state }, count);
      },
    );
  }
  for (const [name, help, count] of [
    ['backchannel_sessions_live', 'Live sessions.', () => services.sessions.countLive()],
    ['backchannel_tokens_live', 'Live API tokens.', () => services.tokens.countLive()],
  ] as const) {
    gauge(registry, name, `${help} Absent while the database is unavailable.`, [], async (each) => {
      const live = await count().catch(() => null);
      if (live === null) each.remove();
      else each.set(live);
    });
  }
}

/** A gauge that is read at each scrape. */
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

/** A counter whose counts are kept elsewhere and read at each scrape. */
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
