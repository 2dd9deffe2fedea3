// Opening a port, and closing it without losing what is in flight. It knows nothing of what is served there.
import type { Server } from 'node:http';
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';

/** How long requests in flight may take to finish when a server closes, in milliseconds. */
const CLOSING_PATIENCE_MS = 10_000;

const CLOSING_SWEEP_MS = 20;

/** The address cannot be listened on. The message is one sentence that says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

interface Address {
  host: string;
  port: number;
  /** The settings that these are from, for the error. */
  names: readonly [host: string, port: string];
}

/** Resolves to the port. @throws ListenError */
export function listen(server: NetServer, address: Address): Promise<number> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => reject(asListenError(error, address));
    server.once('error', refuse);
    server.listen({ host, port }, () => {
      server.off('error', refuse);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Looks whether the port could be opened, for who has something to do before it is. @throws ListenError */
export async function refuseTaken(address: Address): Promise<void> {
  const server = createServer();
  await listen(server, address);
  await new Promise((resolve) => {
    server.close(resolve);
  });
}

function asListenError(error: NodeJS.ErrnoException, { host, port, names: [HOST, PORT] }: Address): Error {
  const reasons: Record<string, string> = {
    EADDRINUSE: `${PORT}: ${host}:${port} is in use; stop what uses it, or set another one, such as ${PORT}=${port + 1}`,
    EACCES: `${PORT}: ${port} needs privileges that this user does not have; set one from 1024 up, such as ${PORT}=8000`,
    EADDRNOTAVAIL: `${HOST}: ${host} is no address of this machine; set ${HOST}=127.0.0.1, or ${HOST}=0.0.0.0 for all of them`,
    ENOTFOUND: `${HOST}: ${host} is not a known name; set ${HOST}=127.0.0.1, or ${HOST}=0.0.0.0 for all addresses`,
  };
  return new ListenError(reasons[error.code ?? ''] ?? `${HOST}, ${PORT}: ${error.message}`, { cause: error });
}

/** Stops accepting, and waits for what is in flight, `patienceMs` at most. */
export async function stopListening(
  server: Server,
  { patienceMs = CLOSING_PATIENCE_MS }: { patienceMs?: number } = {},
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection whose last answer went out stays open for the next request: it is closed as soon as it is idle.
  const sweep = setInterval(() => server.closeIdleConnections(), CLOSING_SWEEP_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), patienceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(deadline);
}
