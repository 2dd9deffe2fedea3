// A whole server from a configuration, without a side effect until it is asked for: main.ts and the tests open it.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { createApp } from './http/app.ts';
import type { Log } from './log.ts';
import { openServices, type Services } from './services/services.ts';
import { prepareDataFolder } from './store/data-folder.ts';
import { openStore } from './store/database.ts';

/** How long requests in flight may take to finish when the server closes, in milliseconds. */
const CLOSING_PATIENCE_MS = 10_000;

const CLOSING_SWEEP_MS = 20;

/** The address cannot be listened on. The message is one sentence that says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface RunningServer {
  /** The address people use: PUBLIC_URL, with the real port where any free one was asked for. */
  readonly url: string;
  readonly services: Services;
  /** Stops accepting, finishes what is in flight (10 s at most), flushes, closes. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the data folder, the store, the services and the port, in this order; closes them in reverse. */
export async function openServer(options: { config: Config; log: Log; clock?: Clock }): Promise<RunningServer> {
  const { log, clock } = options;
  prepareDataFolder(options.config.dataDir);
  await using opened = new AsyncDisposableStack();
  const store = opened.use(await openStore(options.config.database));
  const services = opened.use(await openServices({ config: options.config, store, log, ...(clock ? { clock } : {}) }));
  await services.start();

  const server = createServer({ keepAliveTimeout: 65_000, headersTimeout: 20_000, requestTimeout: 30_000 });
  const port = await listen(server, options.config);
  const config = withPort(options.config, port);
  // In the same turn as the port is opened: no request can come between.
  server.on('request', createApp({ config, store, services, log }));
  opened.defer(() => closeServer(server));

  const closing = opened.move();
  return { url: config.publicUrl, services, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

function listen(server: Server, { host, port }: Config): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(asListenError(error, host, port)));
    server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port));
  });
}

function asListenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const reasons: Record<string, string> = {
    EADDRINUSE: `PORT: ${host}:${port} is in use; stop what uses it, or set another one, such as PORT=${port + 1}`,
    EACCES: `PORT: ${port} needs privileges that this user does not have; set one from 1024 up, such as PORT=8000`,
    EADDRNOTAVAIL: `HOST: ${host} is no address of this machine; set HOST=127.0.0.1, or HOST=0.0.0.0 for all of them`,
    ENOTFOUND: `HOST: ${host} is not a known name; set HOST=127.0.0.1, or HOST=0.0.0.0 for all addresses`,
  };
  return new ListenError(reasons[error.code ?? ''] ?? `HOST, PORT: ${error.message}`, { cause: error });
}

/** Where any free port was asked for, the address people use carries the one that was found. */
function withPort(config: Config, port: number): Config {
  if (config.port !== 0) return config;
  const url = new URL(config.publicUrl);
  if (url.port === '0') url.port = String(port);
  return { ...config, port, publicUrl: url.origin };
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection whose last answer went out stays open for the next request: it is closed as soon as it is idle.
  const sweep = setInterval(() => server.closeIdleConnections(), CLOSING_SWEEP_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), CLOSING_PATIENCE_MS);
  await closed;
  clearInterval(sweep);
  clearTimeout(deadline);
}
