// The end of a server under load: no request that has been accepted goes without its answer.
import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { answerOf } from './connections.ts';

/**
 * How long a connection without a request stays open for one that is on its way already, in milliseconds. Whoever is
 * sending requests sends the next one within it, is answered, and told to close.
 */
const LINGER_MS = 500;
const LOOK_EVERY_MS = 10;

export interface Drain {
  isDraining(): boolean;
  /** Accepts no more connections, and tells those there are to close with their next answer. */
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
      // Not http.Server's own, which closes idle connections at once: a request may be on its way on any of them.
      NetServer.prototype.close.call(server);
      const until = performance.now() + lingerMs;
      while (performance.now() < until && sockets.size > 0) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
      // To Node, one that has never sent anything is not idle. Go's proxies open one too many and keep it for later.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    },
  };
}
