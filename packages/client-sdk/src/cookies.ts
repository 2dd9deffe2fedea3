// A cookie jar for one server, for clients outside a browser (RFC 6265). It knows no fetch and none of the server's names.

export interface CookieJar {
  /** The Cookie header for a request to a path of the server. Empty when there is nothing to send. */
  header(path: string): string;
  /** Stores the Set-Cookie lines of the response to a request to `path`. */
  remember(lines: readonly string[], path: string): void;
  /** All cookies that have not expired, as a text for `restore`. It is a secret. */
  snapshot(): string;
  /** Adds the cookies of a snapshot of the same origin. Any other text is ignored. */
  restore(text: string): void;
}

interface Cookie {
  value: string;
  path: string;
  /** In milliseconds since 1970; Infinity if the cookie lasts as long as the jar. */
  expiresAt: number;
}

/** Creates a jar for one origin. Cookies go back to that origin and to no other, so Domain does not matter. */
export function createCookieJar(origin: URL): CookieJar {
  const cookies = new Map<string, Cookie>();
  const isSecure = origin.protocol === 'https:' || isLoopback(origin.hostname);
  const live = () => [...cookies].filter(([, { expiresAt }]) => expiresAt > Date.now());

  return {
    header: (path) =>
      live()
        .filter(([, cookie]) => isUnder(path, cookie.path))
        .map(([name, { value }]) => `${name}=${value}`)
        .join('; '),
    remember: (lines, path) => {
      for (const line of lines) {
        const [pair = '', ...rest] = line.split(';');
        const [name, value] = splitPair(pair);
        const attributes = new Map(rest.map(splitPair).map(([key, text]) => [key.toLowerCase(), text]));
        if (name === '' || (attributes.has('secure') && !isSecure)) continue;
        // A deleted cookie arrives as an expired one, without a value.
        cookies.set(name, { value, path: pathOf(attributes.get('path'), path), expiresAt: endOf(attributes) });
      }
    },
    // Infinity is null in JSON.
    snapshot: () =>
      JSON.stringify({ origin: origin.origin, cookies: live().map(([name, cookie]) => ({ name, ...cookie })) }),
    restore: (text) => {
      for (const { name, ...cookie } of readSnapshot(text, origin.origin)) cookies.set(name, cookie);
    },
  };
}

/** Returns no cookies unless the whole text is as `snapshot` writes it: it may be truncated, outdated or forged. */
function readSnapshot(text: string, origin: string): (Cookie & { name: string })[] {
  try {
    const read = JSON.parse(text);
    if (read.origin !== origin) return [];
    const found: (Cookie & { name: string })[] = [];
    for (const { name, value, path, expiresAt } of read.cookies) {
      const isSendable = isCookieText(name) && name !== '' && isCookieText(value);
      const isTimed = expiresAt === null || typeof expiresAt === 'number';
      if (!isSendable || !isTimed || typeof path !== 'string') return [];
      found.push({ name, value, path, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY });
    }
    return found;
  } catch {
    return [];
  }
}

/** Text that can't end the cookie or the header. */
const isCookieText = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) && !value.includes(';');

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  if (equals < 0) return [pair.trim(), ''];
  return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
}

/** Max-Age takes precedence over Expires (RFC 6265, 5.3). */
function endOf(attributes: ReadonlyMap<string, string>): number {
  const maxAge = attributes.get('max-age') ?? '';
  if (/^-?\d+$/.test(maxAge)) return Date.now() + Number(maxAge) * 1000;
  const expires = Date.parse(attributes.get('expires') ?? '');
  return Number.isNaN(expires) ? Number.POSITIVE_INFINITY : expires;
}

/** A cookie without a Path is for the folder of the request path (RFC 6265, 5.1.4). */
function pathOf(attribute: string | undefined, requestPath: string): string {
  if (attribute?.startsWith('/')) return attribute;
  return requestPath.slice(0, Math.max(1, requestPath.lastIndexOf('/')));
}

function isUnder(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** Like browsers, treats this machine as secure without TLS (W3C Secure Contexts, 3.1). */
function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
