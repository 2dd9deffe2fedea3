/**
 * Connections before they are requests: how much, how long and how many, and how what is no request is refused. None of
 * these limits is met by a browser or a proxy that means well; each is there for one that does not.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log } from '../../log.ts';
import { logOnce } from '../../log-once.ts';
import { createServer, STATUS_CODES } from './node-http.ts';

/** For all headers of a request together, its first line included, in bytes. Node's own, said so that it stays. */
const MAX_HEADER_BYTES = 16 * 1024;

export interface ConnectionLimits {
  /** Until the last header is there: a client that sends one byte a second would hold a connection for hours (Slowloris). */
  headersPatienceMs: number;
  /** Until the last byte of the body is there. 64 KiB in that time is a slow modem. */
  requestPatienceMs: number;
  /** How late that is noticed. */
  checkEveryMs: number;
  /** How long an answer may wait for a client that does not read it. */
  answerPatienceMs: number;
  /** Longer than proxies keep theirs (nginx: 60 s), so that it is they who close: else they may send into a closing one. */
  keepAliveMs: number;
  /** A proxy needs some dozens. Beyond it a connection is closed at once, before the files that a process may open run out. */
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

/** An HTTP server with these limits, which does not listen yet. */
export function createConnections(log: Log, limits: Partial<ConnectionLimits> = {}): Server {
  const { headersPatienceMs, requestPatienceMs, checkEveryMs, answerPatienceMs, keepAliveMs, maxConnections } = {
    ...defaultLimits,
    ...limits,
  };
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: headersPatienceMs,
    requestTimeout: requestPatienceMs,
    connectionsCheckingInterval: checkEveryMs,
    keepAliveTimeout: keepAliveMs,
  });
  server.setTimeout(answerPatienceMs);
  // Bytes are limit enough. Node before 24.18.1 takes no header beyond the thousandth and says nothing (CVE-2026-58044):
  // a stranger's could stand in the place of those that the proxy adds.
  server.maxHeadersCount = 0;
  server.maxConnections = maxConnections;
  const warnOfDrops = logOnce(() =>
    log.warn(`more than ${maxConnections} connections at once: further ones are closed`),
  );
  server.on('drop', warnOfDrops);
  // Without a listener each of these would end the process: no more files can be opened, for one.
  const onError = (error: Error) => log.error({ err: error }, 'a connection could not be accepted');
  server.once('listening', () => server.on('error', onError));
  server.on('clientError', refuse);
  return server;
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
    message: `The headers are over ${MAX_HEADER_BYTES / 1024} KiB; a browser may have too many cookies for this host.`,
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: 'PAYLOAD_TOO_LARGE',
    message: 'The chunk extensions are too long.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: 'BAD_REQUEST', message: 'The request took too long to arrive.' },
};
const malformed: Refusal = { status: 400, code: 'BAD_REQUEST', message: 'This is no HTTP request.' };

/** The answer that a connection is at. There is no public name for it; Node's own handler of these errors looks there, too. */
export const answerOf = (socket: Duplex): ServerResponse | null =>
  (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage ?? null;

/** Answers what the parser refused in the shape of every other error, and closes. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  // An answer is on its way already: what is written now would be taken for a part of it.
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
