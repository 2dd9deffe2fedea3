// The cookies of one server, kept where no browser does it (RFC 6265). Knows no fetch and none of the server's names.

export interface CookieJar {
  /** The Cookie header for a request to a path of the server, empty when there is nothing to send. */
  header(path: string): string;
  /** Takes in the Set-Cookie lines of the answer to a request to `path`. */
  remember(lines: readonly string[], path: string): void;
  /** All that is not over yet, as a text for `restore`. It is a secret. */
  snapshot(): string;
  /** Takes in a snapshot of the same origin; any other text is passed over. */
  restore(text: string): void;
}

interface Cookie {
  value: string;
  path: string;
  /** In milliseconds since 1970; Infinity for as long as the jar lasts. */
  expiresAt: number;
}

/** A jar for one origin: what comes from it goes back to it and to no other, so Domain does not matter. */
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
        // One that is deleted comes as one that has ended, without its value.
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

/** Nothing where one thing is not as `snapshot` writes it: what comes from outside may be torn, old or a forgery. */
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

/** Nothing that would end a cookie, or the header. */
const isCookieText = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) && !value.includes(';');

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  if (equals < 0) return [pair.trim(), ''];
  return [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
}

/** Max-Age counts before Expires (RFC 6265, 5.3). */
function endOf(attributes: ReadonlyMap<string, string>): number {
  const maxAge = attributes.get('max-age') ?? '';
  if (/^-?\d+$/.test(maxAge)) return Date.now() + Number(maxAge) * 1000;
  const expires = Date.parse(attributes.get('expires') ?? '');
  return Number.isNaN(expires) ? Number.POSITIVE_INFINITY : expires;
}

/** Without a Path of its own, a cookie is for the folder that it came from (RFC 6265, 5.1.4). */
function pathOf(attribute: string | undefined, requestPath: string): string {
  if (attribute?.startsWith('/')) return attribute;
  return requestPath.slice(0, Math.max(1, requestPath.lastIndexOf('/')));
}

function isUnder(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** As browsers do, this machine counts as secure without TLS (W3C Secure Contexts, 3.1). */
function isLoopback(hostname: string): boolean {
  return /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
