/**
 * Limits on connections: their number, their size and their time, and the responses to malformed requests. Well-behaved
 * browsers and proxies stay within these limits.
 */
import { createServer, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RequestLog } from '../../repeated-lines.ts';
import { type Crowded, createShares } from './shares.ts';

/**
 * For the request line and all headers together, in bytes. Proxies send the cookies of the application when they ask
 * forward-auth, which can be many. A thousand connections that each send as much and wait take about 70 MB.
 */
const MAX_HEADER_BYTES = 48 * 1024;

export interface ConnectionLimits {
  /** For the headers. Without it, a client that sends one byte a second holds a connection for hours (Slowloris). */
  headersPatienceMs: number;
  /** For the whole request. A slow modem can send 64 KiB in that time. */
  requestPatienceMs: number;
  /** How often these two are checked. */
  checkEveryMs: number;
  /** How long a response may wait for a client that does not read it. */
  answerPatienceMs: number;
  /** Longer than in proxies (nginx: 60 s), so that the proxy closes first and never sends on a closing connection. */
  keepAliveMs: number;
  /** A proxy needs a few dozen. The limit is met before the process runs out of file descriptors. */
  maxConnections: number;
}

const defaultLimits: ConnectionLimits = {
  headersPatienceMs: 10_000,
  requestPatienceMs: 20_000,
  checkEveryMs: 1000,
  answerPatienceMs: 60_000,
  keepAliveMs: 65_000,
  maxConnections: 4096,
};

/** Creates an HTTP server with these limits. It does not listen yet. */
export function createConnections(options: {
  log: Pick<RequestLog, 'repeated'>;
  /** Which addresses may hold more than a quarter of all connections. */
  isTrusted: (address: string) => boolean;
  limits?: Partial<ConnectionLimits>;
}): Server {
  const { log, isTrusted } = options;
  const { headersPatienceMs, requestPatienceMs, checkEveryMs, answerPatienceMs, keepAliveMs, maxConnections } = {
    ...defaultLimits,
    ...options.limits,
  };
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    // Node would respond without a body; host.ts refuses it in the API's shape.
    requireHostHeader: false,
    headersTimeout: headersPatienceMs,
    requestTimeout: requestPatienceMs,
    connectionsCheckingInterval: checkEveryMs,
    keepAliveTimeout: keepAliveMs,
  });
  server.setTimeout(answerPatienceMs);
  // The limit in bytes is enough. Node before 24.18.1 silently drops headers after the thousandth (CVE-2026-58044), so an
  // attacker's headers could displace those that the proxy adds.
  server.maxHeadersCount = 0;
  const isBusy = (socket: Duplex) => answerOf(socket)?.req.complete ?? false;
  const onCrowded = (crowded: Crowded) => log.repeated({ level: 'warn', ...describe(crowded) });
  server.on('connection', createShares({ maxConnections, isTrusted, isBusy, onCrowded }));
  // Without a listener, an error such as running out of file descriptors would end the process.
  const onError = (error: NodeJS.ErrnoException) => {
    const message = 'a connection could not be accepted';
    log.repeated({ level: 'error', message, kind: { code: error.code }, details: { err: error } });
  };
  server.once('listening', () => server.on('error', onError));
  server.on('clientError', refuse);
  return server;
}

function describe({ source, limit }: Crowded) {
  const effect = 'unused ones close for new ones';
  if (source === null) return { message: `more than ${limit} connections at once; ${effect}`, kind: {} };
  const message = `more than ${limit} connections from one address; ${effect}`;
  return { message, kind: { address: source, advice: 'if it is your proxy, add it to TRUSTED_PROXIES' } };
}

interface Refusal {
  status: number;
  code: 'BAD_REQUEST' | 'PAYLOAD_TOO_LARGE';
  message: string;
}

const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'PAYLOAD_TOO_LARGE',
    message: `The headers are larger than ${MAX_HEADER_BYTES / 1024} KiB; your browser may have too many cookies for this host.`,
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: 'PAYLOAD_TOO_LARGE',
    message: 'The chunk extensions are too long.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: 'BAD_REQUEST', message: 'The request took too long to arrive.' },
};
const malformed: Refusal = { status: 400, code: 'BAD_REQUEST', message: 'This is not a valid HTTP request.' };

/** The response that a connection is currently sending. It has no public API, and Node's own error handler uses it, too. */
export const answerOf = (socket: Duplex): ServerResponse | null =>
  (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage ?? null;

/** Responds to a request that the parser rejected with an error in the API's shape, and closes the connection. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  // If a response has started, the client would read this error as a part of it.
  const isAnswering = answerOf(socket)?.headersSent;
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const { status, code, message } = refusals[error.code ?? ''] ?? malformed;
  const body = JSON.stringify({ message, code });
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
