// Reads a response and decides whether it came from BackChannel, by tRPC's envelope. It knows none of the procedures, and
// sends nothing.
import { BackchannelError } from './errors.ts';
import { parseUrl } from './url.ts';

export interface Answer {
  readonly status: number;
  /** Whole seconds; null if the response doesn't say. */
  readonly retryAfterSeconds: number | null;
  /** The part of the response that tRPC reads. @throws BackchannelError when the response isn't from BackChannel. */
  take(): { ok: boolean; json(): Promise<unknown> };
}

/** Reads the whole response. Rejects when it is cut off. */
export async function readAnswer(response: Response, origin: URL): Promise<Answer> {
  const { ok, status } = response;
  const { body, cause } = parse(await response.text());
  const retryAfterSeconds = readRetryAfter(response.headers.get('retry-after'));
  if (isEnvelope(body)) {
    const waitSeconds = retryAfterSeconds ?? retryAfterOf(body);
    return { status, retryAfterSeconds: waitSeconds, take: () => ({ ok, json: async () => body }) };
  }
  return {
    status,
    retryAfterSeconds,
    take: () => {
      // A browser reports a redirect as status 0.
      const details = { code: 'UNEXPECTED_ANSWER', status: status || null, retryAfterSeconds, cause } as const;
      throw new BackchannelError(describeForeign(response, origin), details);
    },
  };
}

function parse(text: string): { body?: unknown; cause?: unknown } {
  try {
    return { body: JSON.parse(text) };
  } catch (cause) {
    return { cause };
  }
}

type Envelope = { error?: { data: { retryAfterSeconds?: unknown } } };

/** tRPC's response to a single call: a result, or an error with one of the contract's codes. */
function isEnvelope(body: unknown): body is Envelope {
  if (!isRecord(body)) return false;
  if (!('error' in body)) return isRecord(body.result);
  const { error } = body;
  return (
    isRecord(error) &&
    typeof error.message === 'string' &&
    typeof error.code === 'number' &&
    isRecord(error.data) &&
    typeof error.data.code === 'string' &&
    typeof error.data.httpStatus === 'number'
  );
}

function retryAfterOf({ error }: Envelope): number | null {
  const seconds = error?.data.retryAfterSeconds;
  return typeof seconds === 'number' && seconds >= 0 ? seconds : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function describeForeign(response: Response, origin: URL): string {
  const location = response.headers.get('location');
  if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
    const target = location ? parseUrl(location, origin) : null;
    // Without the query, which may contain secrets that don't belong in a log.
    const where = target ? ` to ${target.origin}${target.pathname}` : '';
    return `${origin.origin} redirects${where}. Set \`url\` to the address of BackChannel itself.`;
  }
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'no content type';
  return `${origin.origin} responded ${response.status} (${type}), but not as BackChannel does. Is it a proxy or another server?`;
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function readRetryAfter(header: string | null): number | null {
  if (header === null) return null;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}
