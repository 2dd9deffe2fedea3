// A client for what goes through a proxy: it knows the names under example.test, believes one certificate, follows nothing,
// keeps no cookies by itself, and hides nothing of an answer.
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import type { Duplex } from 'node:stream';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

interface Asked {
  method?: string;
  /** In place of the address's own path, which is tidied up: as it is. */
  path?: string;
  headers?: Record<string, string | string[]>;
  body?: Buffer | string;
  /** In chunks, its length not told (RFC 9112, 7.1). */
  chunked?: boolean;
}

export interface Client {
  ask(url: string, asked?: Asked): Promise<Answer>;
  /** The answer as soon as its headers are there. */
  open(url: string, asked?: Asked): Promise<IncomingMessage>;
  /** Asks for another protocol, or for several in as many headers: the connection, or what was answered instead. */
  upgrade(url: string, protocol: string | string[], headers?: Record<string, string>): Promise<Duplex | Answer>;
}

export function createClient({ ca }: { ca: string }): Client {
  const start = (url: string, { method = 'GET', path, headers = {}, body, chunked }: Asked): ClientRequest => {
    const length = body === undefined || chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const request = (url.startsWith('https:') ? overHttps : overHttp)(url, {
      method,
      ...(path === undefined ? {} : { path }),
      headers: { ...length, ...headers },
      // No name is looked up: all that is asked here is on this machine.
      lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
      agent: false,
      ca,
    });
    if (chunked) request.flushHeaders();
    return request;
  };
  const open = (url: string, asked: Asked = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const request = start(url, asked).once('response', resolve).once('error', reject);
      request.end(asked.body);
    });

  return {
    open,
    ask: async (url, asked) => read(await open(url, asked)),
    upgrade: (url, protocol, headers = {}) =>
      new Promise((resolve, reject) => {
        const handshake = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' };
        const request = start(url, { headers: { connection: 'Upgrade', upgrade: protocol, ...handshake, ...headers } });
        request.once('upgrade', (_response, socket) => resolve(socket));
        request.once('response', (response) => read(response).then(resolve, reject));
        request.once('error', reject).end();
      }),
  };
}

async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

/** The cookies that an answer sets, as a Cookie header would have them. */
export const cookiesOf = ({ headers }: Answer): string =>
  (headers['set-cookie'] ?? []).map((line) => line.slice(0, line.indexOf(';'))).join('; ');
