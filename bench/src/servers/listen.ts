// How every small server here behaves as a process: any free port on loopback, which it prints, and no longer than its
// parent, whose end closes stdin.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export function listen(server: Server): void {
  server.listen(0, '127.0.0.1', () => console.log(`http://localhost:${(server.address() as AddressInfo).port}`));
  process.stdin.on('end', () => process.exit()).resume();
}
