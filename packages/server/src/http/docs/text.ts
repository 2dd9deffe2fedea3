// Serves a text from memory.
import { createHash } from 'node:crypto';
import type { RequestHandler } from 'express';

/** Sends an ETag of the content, so that browsers can reuse their copy (RFC 9110, 8.8.3). */
export function serveText(type: string, text: string | Buffer): RequestHandler {
  const body = typeof text === 'string' ? Buffer.from(text) : text;
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
  return (_req, res) => {
    res.setHeader('ETag', etag);
    res.type(type).send(body);
  };
}
