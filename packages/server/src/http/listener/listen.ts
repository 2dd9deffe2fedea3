// Opens a port, and closes it without losing requests in flight. It knows nothing about the requests.
import type { Server } from 'node:http';
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';

/** How long requests in flight may take to finish when a server closes, in milliseconds. */
const CLOSING_PATIENCE_MS = 10_000;

const CLOSING_SWEEP_MS = 20;

/** The server cannot listen on the address. The message is one sentence that says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

interface Address {
  host: string;
  port: number;
  /** The names of the settings, for error messages. */
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

/** Checks that the port is free, without keeping it open. @throws ListenError */
export async function refuseTaken(address: Address): Promise<void> {
  const server = createServer();
  await listen(server, address);
  await new Promise((resolve) => {
    server.close(resolve);
  });
}

function asListenError(error: NodeJS.ErrnoException, { host, port, names: [HOST, PORT] }: Address): Error {
  const reasons: Record<string, string> = {
    EADDRINUSE: `${PORT}: ${host}:${port} is in use; stop the program that uses it, or set another port, such as ${PORT}=${port + 1}`,
    EACCES: `${PORT}: ${port} needs privileges that this user does not have; set a port from 1024 up, such as ${PORT}=8000`,
    EADDRNOTAVAIL: `${HOST}: ${host} is not an address of this machine; set ${HOST}=127.0.0.1, or ${HOST}=0.0.0.0 for all addresses`,
    ENOTFOUND: `${HOST}: ${host} is not a known host name; set ${HOST}=127.0.0.1, or ${HOST}=0.0.0.0 for all addresses`,
  };
  return new ListenError(reasons[error.code ?? ''] ?? `${HOST}, ${PORT}: ${error.message}`, { cause: error });
}

/** Stops accepting connections, and waits for requests in flight, for `patienceMs` at most. */
export async function stopListening(
  server: Server,
  { patienceMs = CLOSING_PATIENCE_MS }: { patienceMs?: number } = {},
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // After a response, a connection stays open for the next request. The sweep closes it once it is idle.
  const sweep = setInterval(() => server.closeIdleConnections(), CLOSING_SWEEP_MS);
  const deadline = setTimeout(() => server.closeAllConnections(), patienceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(deadline);
}
