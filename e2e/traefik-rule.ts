// Traefik's rules, read and evaluated by its documentation of routers: Traefik itself is in no package of npm or Debian. Its
// expressions are Go's, and its regular expressions RE2's.

export interface RoutedRequest {
  host: string;
  /** What Traefik compares: a path without its query. */
  path: string;
  method?: string;
  /** Names in lower case. */
  headers?: Record<string, string>;
}

type Rule = (request: RoutedRequest) => boolean;

const matchers: Record<string, (...values: string[]) => Rule> = {
  Host: (host) => (request) => request.host === host,
  Path: (path) => (request) => request.path === path,
  PathPrefix: (prefix) => (request) => request.path.startsWith(prefix ?? ''),
  PathRegexp: (source = '') => {
    const pattern = compile(source);
    return (request) => pattern.test(request.path);
  },
  Method: (method) => (request) => request.method === method,
  HeaderRegexp: (name = '', source = '') => {
    const pattern = compile(source);
    return ({ headers = {} }) => pattern.test(headers[name.toLowerCase()] ?? '') && name.toLowerCase() in headers;
  },
};

/** RE2's syntax where it differs from JavaScript's. */
function compile(source: string): RegExp {
  const ignoresCase = source.startsWith('(?i)');
  return new RegExp(source.replace(/^\(\?i\)/, '').replace(/\\x\{([0-9a-f]+)\}/g, '\\u{$1}'), ignoresCase ? 'iu' : 'u');
}

/** @throws SyntaxError for what Traefik 3 would not load. */
export function parseRule(text: string): Rule {
  const tokens = text.match(/`[^`]*`|&&|\|\||[!(),]|\w+|\S/g) ?? [];
  const take = (expected?: string): string => {
    const token = tokens.shift() ?? '';
    if (expected !== undefined && token !== expected)
      throw new SyntaxError(`${token} instead of ${expected} in ${text}`);
    return token;
  };
  const any = (): Rule => chain('||', all, (a, b) => (request) => a(request) || b(request));
  const all = (): Rule => chain('&&', one, (a, b) => (request) => a(request) && b(request));
  const chain = (operator: string, next: () => Rule, join: (a: Rule, b: Rule) => Rule): Rule => {
    let rule = next();
    while (tokens[0] === operator) {
      take();
      rule = join(rule, next());
    }
    return rule;
  };
  const one = (): Rule => {
    const token = take();
    if (token === '!') {
      const rule = one();
      return (request) => !rule(request);
    }
    if (token === '(') {
      const rule = any();
      take(')');
      return rule;
    }
    const matcher = matchers[token];
    if (!matcher) throw new SyntaxError(`no matcher ${token} in ${text}`);
    take('(');
    const values = [readValue()];
    while (tokens[0] === ',') {
      take();
      values.push(readValue());
    }
    take(')');
    return matcher(...values);
  };
  const readValue = () => take().replace(/^`|`$/g, '');
  const rule = any();
  if (tokens.length > 0) throw new SyntaxError(`${tokens[0]} is left in ${text}`);
  return rule;
}

/** How Traefik sees a target: the path that it compares, and the target that it sends on. Null for what Go responds to with 400. */
export type Reader = (target: string) => { path: string; onward: string } | null;

/** Traefik before 3.4: decoded for the rules, as it came for the application. */
export const readDecoded: Reader = (target) => {
  const [path = ''] = target.split('?');
  if (isMalformed(path)) return null;
  return { path: decode(path, () => true), onward: encode(target) };
};

/** Since then: tidied up for both, and reserved characters stay encoded for the rules. */
export const readRouted: Reader = (target) => {
  const [path = '', ...query] = target.split('?');
  if (isMalformed(path)) return null;
  const normal = encode(path).replace(/%([0-9a-f]{2})/gi, (all, digits) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return /[\w.~-]/.test(character) ? character : all.toUpperCase();
  });
  const tidy = removeDots(normal);
  return {
    path: decode(tidy, (character) => !":/?#[]@!$&'()*+,;=%".includes(character)),
    onward: [tidy, ...query].join('?'),
  };
};

const isMalformed = (path: string) =>
  !path.startsWith('/') || /%(?![0-9a-f]{2})/i.test(path) || /[^!-~\x80-\xff]/.test(path);

/** What Go encodes when it sends a path on (net/url, EscapedPath). */
const encode = (path: string) =>
  path.replace(
    /[^!$&-;=?-Z_a-z~[\]%]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

function decode(path: string, isDecoded: (character: string) => boolean): string {
  const bytes = path.replace(/%([0-9a-f]{2})/gi, (all, digits) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return isDecoded(character) ? character : all;
  });
  // Go's regular expressions read a byte that is not UTF-8 as U+FFFD.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'));
}

function removeDots(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  return `/${kept.join('/')}${/\/\.{0,2}$/.test(path) && kept.length > 0 ? '/' : ''}`;
}
