// What came back, and whether BackChannel said it: tRPC's envelope, or the words of a stranger. It knows none of the
// procedures, and sends nothing.
import { BackchannelError } from './errors.ts';

export interface Answer {
  readonly status: number;
  /** Whole seconds; null when nobody said. */
  readonly retryAfterSeconds: number | null;
  /** As far as tRPC reads it. @throws BackchannelError when it is not BackChannel's. */
  take(): { ok: boolean; json(): Promise<unknown> };
}

/** Reads it to its end. Rejects when it breaks off before. */
export async function readAnswer(response: Response, origin: URL): Promise<Answer> {
  const { ok, status } = response;
  const { body, cause } = parse(await response.text());
  const retryAfterSeconds = readRetryAfter(response.headers.get('retry-after'));
  if (isEnvelope(body)) {
    const said = retryAfterSeconds ?? retryAfterOf(body);
    return { status, retryAfterSeconds: said, take: () => ({ ok, json: async () => body }) };
  }
  return {
    status,
    retryAfterSeconds,
    take: () => {
      // A browser hides a redirect behind the status 0.
      const details = { code: 'UNEXPECTED_ANSWER', status: status || null, retryAfterSeconds, cause } as const;
      throw new BackchannelError(describeStranger(response, origin), details);
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

/** tRPC's answer to a single call: a result, or an error with one of the contract's codes. */
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

function describeStranger(response: Response, origin: URL): string {
  const location = response.headers.get('location');
  if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
    const target = location && URL.canParse(location, origin.href) ? new URL(location, origin) : null;
    // Without the query: it may carry what is nobody's business in a log.
    const where = target ? ` to ${target.origin}${target.pathname}` : '';
    return `${origin.origin} redirects${where}: \`url\` has to be the address where BackChannel itself answers.`;
  }
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'no content type';
  return `${origin.origin} answered ${response.status} (${type}), but not as BackChannel does: is it a proxy or another server?`;
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function readRetryAfter(header: string | null): number | null {
  if (header === null) return null;
  if (/^\d+$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}
