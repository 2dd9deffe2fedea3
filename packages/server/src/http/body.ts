// Reads the input of requests: JSON bodies for the API, forms for the pages, and query strings. It converts nothing and
// reads nothing past the size limit.
import { TRPCError } from '@trpc/server';
import { type Request, type Response, raw } from 'express';
import { InputError } from '../errors.ts';
import { messages } from '../messages.ts';
import { strictJson } from './strict-json.ts';

/** The largest body any face accepts, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024;

const readRaw = raw({ limit: MAX_BODY_BYTES, inflate: false, type: () => true });

/**
 * Reads a JSON body as text; empty if there is none. Refuses other types, and text that is not UTF-8 (RFC 8259, 8.1). A body with
 * duplicate keys comes as text that is not JSON, so that it is refused where JSON is parsed: after the access check.
 */
export async function readJsonText(req: Request, res: Response): Promise<string> {
  return strictJson(await readText(req, res, { type: 'application/json', name: 'JSON' }));
}

/** Reads the fields of a form as browsers send it (WHATWG URL, 5.1), in UTF-8. Refuses duplicate fields. */
export async function readForm(req: Request, res: Response): Promise<Record<string, string>> {
  const text = await readText(req, res, { type: 'application/x-www-form-urlencoded', name: 'the form' });
  try {
    // URLSearchParams would replace invalid UTF-8 with other characters.
    decodeURIComponent(text);
  } catch {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The form is not valid percent-encoded UTF-8.' });
  }
  return toFields(new URLSearchParams(text));
}

/** The query string as an object of strings. */
export function readQuery(req: Request): Record<string, string> {
  const start = req.url.indexOf('?');
  if (start < 0) return {};
  return toFields(new URLSearchParams(req.url.slice(start)));
}

/** Refuses unknown fields of a query string. */
export function refuseFields(query: Record<string, string>): void {
  const issues = Object.keys(query).map((path) => ({ path, message: 'Unknown field in the query string.' }));
  if (issues.length > 0) throw new InputError(issues);
}

/** Converts named values to an object. Refuses duplicates instead of choosing one of the values. */
function toFields(pairs: URLSearchParams): Record<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of pairs) {
    if (fields.has(name)) throw new InputError([{ path: name, message: 'This field appears more than once.' }]);
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}

async function readText(req: Request, res: Response, expected: { type: string; name: string }): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    readRaw(req, res, (error?: unknown) => (error ? reject(asInputError(error, expected.name)) : resolve()));
  });
  const bytes: unknown = req.body;
  if (!Buffer.isBuffer(bytes) || bytes.length === 0) return '';
  if (!isType(req.headers['content-type'] ?? '', expected.type)) {
    throw new TRPCError({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message: messages.unsupportedMediaType(expected.name, expected.type),
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TRPCError({ code: 'BAD_REQUEST', message: 'The body is not UTF-8.' });
  }
}

function isType(contentType: string, expected: string): boolean {
  const [type, ...parameters] = contentType
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  return type === expected && parameters.every((each) => !/^charset(?!="?utf-?8"?$)/.test(each));
}

/** Converts an error of body-parser. */
function asInputError(error: unknown, name: string): TRPCError {
  const type = typeof error === 'object' && error !== null && 'type' in error ? error.type : undefined;
  if (type === 'entity.too.large') {
    return new TRPCError({ code: 'PAYLOAD_TOO_LARGE', message: messages.payloadTooLarge(MAX_BODY_BYTES) });
  }
  if (type === 'encoding.unsupported') {
    return new TRPCError({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message: `Send ${name} uncompressed, without Content-Encoding.`,
    });
  }
  return new TRPCError({ code: 'BAD_REQUEST', message: 'The body could not be read.' });
}
