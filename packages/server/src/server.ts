// A whole server from a configuration, without a side effect until it is asked for: main.ts and the tests open it.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from './clock.ts';
import type { Config } from './config/config.ts';
import { type ConnectionLimits, createConnections } from './http/listener/connections.ts';
import { createDrain } from './http/listener/drain.ts';
import { listen, refuseTaken, stopListening } from './http/listener/listen.ts';
import type { Log } from './log.ts';
import { openServices, type Services } from './services/services.ts';
import { prepareDataFolder } from './store/data-folder.ts';
import { openStore, type Store } from './store/database.ts';

export interface RunningServer {
  /** The address people use: PUBLIC_URL, with the real port where any free one was asked for. */
  readonly url: string;
  readonly services: Services;
  /** Where its metrics are; null where they are off. */
  readonly metricsUrl: string | null;
  /** Stops accepting, and lets every connection come to its end; what comes first where others are still sending. */
  drain(): Promise<void>;
  /** Stops accepting, finishes what is in flight (10 s at most), flushes, closes. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the data folder, the store, the services and the port, in this order; closes them in reverse. */
export async function openServer(options: {
  config: Config;
  log: Log;
  clock?: Clock;
  /** Other than those of production, for tests. */
  limits?: Partial<ConnectionLimits>;
}): Promise<RunningServer> {
  const { log, clock } = options;
  const { host, metricsPort, metricsHost } = options.config;
  const address = { host, port: options.config.port, names: ['HOST', 'PORT'] } as const;
  // Before anything is written: a start that fails later has ended sessions, and made a password that nobody was shown.
  await refuseTaken(address);
  if (metricsPort !== null) {
    await refuseTaken({ host: metricsHost, port: metricsPort, names: ['METRICS_HOST', 'METRICS_PORT'] });
  }
  // On a database server there is nothing to keep there: the key is in the configuration.
  if (options.config.database.engine === 'sqlite') prepareDataFolder(options.config.dataDir);
  await using opened = new AsyncDisposableStack();
  const store = opened.use(await openStore(options.config.database));
  const opening = openServices({ config: options.config, store, log, ...(clock ? { clock } : {}) });
  // Loaded in the turn after, while bcrypt, on another thread, looks at the password.
  const loading = nextTurn().then(() => import('./http/app.ts'));
  const services = opened.use(await opening);
  const { createApp } = await loading;
  await services.start();

  const server = createConnections(log, options.limits);
  const { isDraining, drain } = createDrain(server);
  const metrics =
    metricsPort === null ? null : opened.use(await openMetrics({ metricsPort, metricsHost }, { services, store, log }));
  const port = await listen(server, address);
  const config = withPort(options.config, port);
  // In the same turn as the port is opened: no request can come between.
  server.on('request', createApp({ config, store, services, log, metrics, isDraining }));
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

/** Where any free port was asked for, the address people use carries the one that was found. */
function withPort(config: Config, port: number): Config {
  if (config.port !== 0) return config;
  const url = new URL(config.publicUrl);
  if (url.port === '0') url.port = String(port);
  return { ...config, port, publicUrl: url.origin };
}

/** Loaded when it is asked for: who has it off pays nothing for it. */
async function openMetrics(
  config: { metricsPort: number; metricsHost: string },
  opened: { services: Services; store: Store; log: Log },
) {
  const metrics = await import('./http/metrics.ts');
  return metrics.openMetrics({ config, ...opened });
}
