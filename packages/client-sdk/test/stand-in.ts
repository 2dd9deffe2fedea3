// A small HTTP server with the responses that a test chooses, for cases that the real server can't produce.
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StandIn extends AsyncDisposable {
  readonly url: string;
  /** Every request, oldest first. */
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

/** A server that gives every call the same response. */
export function openStandInFor(status: number, body: unknown, headers: Record<string, string | string[]> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return openStandIn((_req, res) => {
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(text);
  });
}

/** The error of a call that must fail. */
export function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (value) => {
      throw new Error(`expected a failure, got ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
