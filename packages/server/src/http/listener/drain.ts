// Shuts a server down under load without losing an accepted request.
import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { answerOf } from './connections.ts';

/**
 * How long an idle connection stays open for a request that may be on its way, in milliseconds. A busy client sends its
 * next request within this time, and the response then tells it to close the connection.
 */
const LINGER_MS = 500;
const LOOK_EVERY_MS = 10;

export interface Drain {
  isDraining(): boolean;
  /** Stops accepting connections, and closes each open one with its next response. */
  drain(): Promise<void>;
}

export function createDrain(server: Server, { lingerMs = LINGER_MS }: { lingerMs?: number } = {}): Drain {
  let isDraining = false;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.prependListener('request', (_req, res) => {
    if (isDraining) res.setHeader('Connection', 'close');
  });

  return {
    isDraining: () => isDraining,
    drain: async () => {
      isDraining = true;
      for (const answer of [...sockets].map(answerOf)) {
        if (answer && !answer.headersSent) answer.setHeader('Connection', 'close');
      }
      // http.Server.close() would close idle connections at once, although a request may be on its way.
      NetServer.prototype.close.call(server);
      const until = performance.now() + lingerMs;
      while (performance.now() < until && sockets.size > 0) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
      // Node does not count a connection as idle until it has sent something. Go's proxies keep such a spare connection.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    },
  };
}
