// A small HTTP server that answers as a test says, where the real one cannot be brought to.
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandIn extends AsyncDisposable {
  readonly url: string;
  /** Every request that came, oldest first. */
  readonly requests: { method: string | undefined; url: string | undefined; headers: IncomingHttpHeaders }[];
}

export async function openStandIn(answer: RequestListener): Promise<StandIn> {
  const requests: StandIn['requests'] = [];
  const server = createServer((req, res) => {
    requests.push({ method: req.method, url: req.url, headers: req.headers });
    answer(req, res);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A server that gives every call this one answer. */
export function openStandInFor(status: number, body: unknown, headers: Record<string, string | string[]> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return openStandIn((_req, res) => {
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text);
  });
}

/** What a call came to that should not have come to anything. */
export function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (value) => {
      throw new Error(`expected a failure, got ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
