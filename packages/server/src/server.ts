// Opens a whole server from a configuration. main.ts and the tests use it. Importing this file has no side effects.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { refuseForeignData } from './checks/owner.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config/config.ts';
import { createTrust } from './http/client-address.ts';
import { type ConnectionLimits, createConnections } from './http/listener/connections.ts';
import { createDrain } from './http/listener/drain.ts';
import { listen, refuseTaken, stopListening } from './http/listener/listen.ts';
import type { Log } from './log.ts';
import { openRequestLog, type RequestLog } from './repeated-lines.ts';
import { openServices, type Services } from './services/services.ts';
import { prepareDataFolder } from './store/data-folder.ts';
import { openStore, type Store } from './store/database.ts';

export interface RunningServer {
  /** The address people use: PUBLIC_URL, with the actual port if PORT is 0. */
  readonly url: string;
  readonly services: Services;
  /** The address of the metrics; null if they are off. */
  readonly metricsUrl: string | null;
  /** Stops accepting connections and lets open ones end. Call it before disposing if clients are still sending requests. */
  drain(): Promise<void>;
  /** Stops accepting connections, finishes requests in flight (for at most 10 s), flushes, closes. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the data folder, the store, the services and the port, in this order; closes them in reverse. */
export async function openServer(options: {
  config: Config;
  log: Log;
  clock?: Clock;
  /** Overrides for tests. */
  limits?: Partial<ConnectionLimits>;
}): Promise<RunningServer> {
  const { log, clock } = options;
  const { host, metricsPort, metricsHost } = options.config;
  const address = { host, port: options.config.port, names: ['HOST', 'PORT'] } as const;
  // First of all: a start that failed later could already have ended sessions, or created a password without showing it.
  await refuseTaken(address);
  if (metricsPort !== null) {
    await refuseTaken({ host: metricsHost, port: metricsPort, names: ['METRICS_HOST', 'METRICS_PORT'] });
  }
  // With PostgreSQL the data folder is not needed, since the key is in the configuration.
  if (options.config.database.engine === 'sqlite') prepareDataFolder(options.config.dataDir);
  refuseForeignData(options.config);
  await using opened = new AsyncDisposableStack();
  const store = opened.use(await openStore(options.config.database));
  const opening = openServices({ config: options.config, store, log, ...(clock ? { clock } : {}) });
  // Loaded in the next turn of the event loop, while bcrypt checks the password on another thread.
  const loading = nextTurn().then(() => import('./http/app.ts'));
  const services = opened.use(await opening);
  const { createApp } = await loading;
  await services.start();

  const requestLog = opened.use(openRequestLog(log));
  const server = createConnections({
    log: requestLog,
    isTrusted: createTrust(options.config.trustedProxies),
    ...(options.limits ? { limits: options.limits } : {}),
  });
  const { isDraining, drain } = createDrain(server);
  const metrics =
    metricsPort === null
      ? null
      : opened.use(await openMetrics({ metricsPort, metricsHost }, { services, store, log: requestLog }));
  const port = await listen(server, address);
  const config = withPort(options.config, port);
  // In the same turn of the event loop in which the port opens, so no request can arrive in between.
  server.on('request', createApp({ config, store, services, log: requestLog, metrics, isDraining }));
  opened.defer(() => stopListening(server));

  const closing = opened.move();
  return {
    url: config.publicUrl,
    services,
    metricsUrl: metrics?.url ?? null,
    drain,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** With PORT=0, puts the port that was chosen into the public address. */
function withPort(config: Config, port: number): Config {
  if (config.port !== 0) return config;
  const url = new URL(config.publicUrl);
  if (url.port === '0') url.port = String(port);
  return { ...config, port, publicUrl: url.origin };
}

/** Loads the metrics only if they are on, so that they cost nothing otherwise. */
async function openMetrics(
  config: { metricsPort: number; metricsHost: string },
  opened: { services: Services; store: Store; log: RequestLog },
) {
  const metrics = await import('./http/metrics.ts');
  return metrics.openMetrics({ config, ...opened });
}
