// A TCP proxy between a server and its database. It can break connections, and it can go silent.

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { findFreePorts } from '../../../../e2e/free-ports.ts';

export interface Cable extends AsyncDisposable {
  readonly port: number;
  /** Breaks every connection, and refuses new ones. */
  pull(): Promise<void>;
  /** Passes nothing in either direction and closes nothing, like a host that vanished. */
  silence(): void;
  /** Works again, for new connections. */
  mend(): Promise<void>;
}

/** `edit` changes what the near end sends on its way to the far one. */
export async function openCable(
  to: { host: string; port: number },
  edit: (sent: Buffer) => Buffer = (sent) => sent,
): Promise<Cable> {
  const sockets = new Set<Socket>();
  let isSilent = false;
  const server = createServer({ pauseOnConnect: true }, (near) => {
    // It arrived while the connections were being broken.
    if (!server.listening) return void near.destroy();
    const far = connect(to.port, to.host);
    for (const [from, onto] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => isSilent || onto.write(from === near ? edit(chunk) : chunk));
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        if (!isSilent) onto.destroy();
      });
    }
    near.resume();
  });
  const [port = 0] = await findFreePorts(1);
  const listen = () => once(server.listen(port, '127.0.0.1'), 'listening');
  await listen();
  const pull = async () => {
    isSilent = false;
    const closed = server.listening ? once(server, 'close') : null;
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    port,
    pull,
    silence: () => {
      isSilent = true;
    },
    mend: async () => {
      isSilent = false;
      if (!server.listening) await listen();
    },
    [Symbol.asyncDispose]: pull,
  };
}
