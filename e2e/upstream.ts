// Owns an application behind a proxy, which knows nothing of BackChannel and keeps whatever it is sent.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Recorded {
  method: string;
  url: string;
  /** As they came, in pairs, names in their own spelling. */
  headers: readonly (readonly [string, string])[];
  /** SHA-256 of the body, and its length in bytes. */
  body: { sha256: string; bytes: number };
}

export interface Upstream extends AsyncDisposable {
  /** Without a slash at the end. */
  url: string;
  recorded: Recorded[];
  /** Lets the answers of /events end that are still open. */
  endEvents(): void;
}

export const DOWNLOAD = Buffer.alloc(8 * 1024 * 1024, 'what is downloaded ');

/** Answers any path with JSON of what it got; /events, /download, /page and upgrades to WebSocket have answers of their own. */
export async function openUpstream(): Promise<Upstream> {
  const recorded: Recorded[] = [];
  const open = new Set<() => void>();
  // More than a proxy passes on, so that nothing is cut here.
  const server = createServer({ maxHeaderSize: 128 * 1024 }, (req, res) => {
    const hash = createHash('sha256');
    let bytes = 0;
    req.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    req.on('end', () => {
      const seen = record(req, { sha256: hash.digest('hex'), bytes });
      const path = req.url?.split('?')[0];
      if (path === '/events') {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: first\n\n');
        open.add(() => res.end('data: last\n\n'));
      } else if (path === '/download') {
        res.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': DOWNLOAD.length });
        res.end(DOWNLOAD);
      } else if (path?.startsWith('/page')) {
        res.writeHead(200, { 'Content-Type': 'text/html', 'Set-Cookie': 'theirs="a=b"; Path=/' });
        res.end(`<!doctype html><title>Application</title><h1>Application</h1><p id="url">${req.url}</p>`);
      } else if (path === '/refused') {
        res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="application"' }).end('its own');
      } else {
        res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(seen));
      }
    });
  });
  const record = (req: IncomingMessage, body: Recorded['body']): Recorded => {
    const { rawHeaders } = req;
    const headers = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ''] as const] : []));
    const seen = { method: req.method ?? '', url: req.url ?? '', headers, body };
    recorded.push(seen);
    return seen;
  };
  server.on('upgrade', (req, socket) => {
    record(req, { sha256: '', bytes: 0 });
    // RFC 6455, 4.2.2. What comes then is sent back as it is: a proxy has no part in it.
    const accept = createHash('sha1')
      .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', `Upgrade: ${req.headers.upgrade}`];
    socket.write(`${[...lines, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  const endEvents = () => {
    for (const end of open) end();
    open.clear();
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    recorded,
    endEvents,
    [Symbol.asyncDispose]: async () => {
      endEvents();
      server.close();
      server.closeAllConnections();
    },
  };
}
