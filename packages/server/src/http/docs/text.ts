// How a text that is held in memory is answered.
import { createHash } from 'node:crypto';
import type { RequestHandler } from 'express';

/** With a tag of the content, so that a browser that has it already is told so instead (RFC 9110, 8.8.3). */
export function serveText(type: string, text: string | Buffer): RequestHandler {
  const body = typeof text === 'string' ? Buffer.from(text) : text;
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return (_req, res) => {
    res.setHeader('ETag', etag);
    res.type(type).send(body);
  };
}
