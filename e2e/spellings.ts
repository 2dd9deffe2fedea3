// Spellings of paths that one server reads as one path and another server as another, and how servers read them.

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Below a public folder, on the way to what is not public. */
const below = [
  ...words(String.raw`
    ..;/ ..;x=1/ ..;;/ .;x/..;y/ .;/../ ..;%2f ;/../ a;/..;/..;/ a/..;/..;/ ; ;/ a;b/
    ../ ./../ a/../../ ../share/../ .../ a/./ ./
    %2e%2e/ %2E%2E/ .%2e/ %2e./ %2e%2e%2f %2e%2e%5c %2e a%2e %2e%2e;/ %2e%2e%3b/
    ..%2f ..%2F a%2f..%2f..%2f %2f a%2f %2f%2e%2e%2f
    ..%3b/ ..%3B/ ..%3bx/ %3b/../ %3B a%3b .%3b/..%3b/ ..%3b%2f
    ..%5c ..%5C %5c..%5c a%5c ..\ \ a\..\..\ ..\/
    ..// /../ // a// / //../..// .//../
    %252e%252e/ %252e%252e%252f ..%252f ..%253b/ %25%32%65%25%32%65/ %2525 ..%255c
    %c0%ae%c0%ae/ %C0%AE%C0%AE%C0%AF ..%c0%af %c1%9c..%c1%9c %e0%80%ae%e0%80%ae/ %f0%80%80%ae./
    %u002e%u002e/ %u2215.. %zz %/../ %2/../
    ..%00/ %00 ..%0a/ ..%09/ ..%0d%0a/ %7f../ .%2e%20/ ..%20/ %20/ ..+/ .%20./
    %ef%bc%8e%ef%bc%8e/ ..%ef%bc%8f ..%EF%BC%BC ..%e2%88%95 ..%ef%bc%9b/ ..#/ #/../ %23/../ %3f/../
  `),
  ...['\t../', '..\x01/', '\xc0\xae\xc0\xae/', '..\xef\xbc\x8f'],
];

/** What a target may end with. */
const ends = words(String.raw`.. . a/. a/.. ... % %2 a% %20 + .+ ..%20 %2e ..; ..%2f ..%3b ..%5c ..\ `);

const atHealth = words(String.raw`
  / /admin /..;/admin /../admin /%2e%2e/admin ;x ;/../admin %3b/../admin %3bx /..%2fadmin %2f..%2fadmin \..\admin
  %5c..%5cadmin /. /.. // . .. %20 %00 %2e %252f..%252fadmin # %23 %3f %3fx ; /;/..;/admin /.;x/../admin
  %c0%af..%c0%afadmin % x %ef%bc%8f.. /%2e%2e%3b/admin
`);

const before = words(String.raw`// /./ /;/ /%2f /admin/../ /admin/..;/ /%2e/ \ /.%2e/ /%2e%2e/ /\ /x;/../`);

/** Targets that one server or another reads as a path below the public folder /share/, or as the public path /health. */
export const ambiguousTargets = [
  ...below.map((spelling) => `/share/${spelling}admin`),
  ...ends.map((spelling) => `/share/${spelling}`),
  ...atHealth.map((spelling) => `/health${spelling}`),
  ...before.flatMap((spelling) => ['share/admin', 'share/../admin', 'health'].map((path) => spelling + path)),
  ...words(String.raw`
    /share;/a /share;x/../admin /share%2f..%2fadmin /%73hare/a /SHARE/../share/a /sh%61re/..;/admin /share /HEALTH
    /share%00/a /share%20/a /share./a /he%61lth /health%2F /share\a /share%5c..%5cadmin /admin?/share/ /admin;/share/
    /admin#/share/ /admin%3f/share/ /..;/share/x * share/../admin admin
  `),
];

/** The same in absolute form (RFC 9112, 3.2.2), which proxies take for the path that it contains. */
export const inAbsoluteForm = (targets: readonly string[], origin: string): string[] =>
  targets.filter((target) => target.startsWith('/')).map((target) => origin + target);

/** Spellings that every server reads as the same public path. */
export const plainTargets = words(`
  /share/ /share/a /share/a/ /share/a/b.html /share/.well-known/x /share/a..b /share/..a /share/a. /share/-~_!$&'()*+,=:@
  /share/a%20b /share/%C3%BC /share/%e6%97%a5%E6%9C%AC /share/%F0%9F%93%B7.jpg /share/%5Ba%5D /share/[a] /share/a%40b%2b
  /share/v1.2/a /share/?x=/../; /share/a?next=..;/admin /share/a?b=%2e%2e%2f%5c /share/a?x=// /share/a?b?c /share/a?%
  /health /health? /health?x=;/../
`);

/** Pieces of random targets. */
export const pieces = [
  ...words(String.raw`
    / / / .. .. . ; ;x a admin %2e %2E %2f %2F %3b %3B %5c %5C \ // %252e %25 %00 %20 + %c0%ae %ef%bc%8f # ? % 2e %0a
    %u002e : %C3%BC
  `),
  '\t',
];

/**
 * All paths that some server reads in the target: with or without parameters (Tomcat, Jetty), decoded up to twice, backslashes
 * as slashes and dots and spaces at the end of names ignored (Windows), and a second `?` or `#` in it as its end.
 */
export function readingsOf(target: string): string[] {
  const [raw = ''] = target.replace(/^https?:\/\/[^/?]*/i, '').split('?');
  // Every server decodes letters and digits.
  const path = raw.replace(/%(?:3\d|[46][1-9a-f]|[57][\da])/gi, (all) => decodeURIComponent(all));
  const found = new Set<string>();
  const texts = new Set([path]);
  const steps: ((text: string) => string)[] = [
    decodeLeniently,
    (text) => text.replace(/;[^/\\]*/g, ''),
    (text) => text.replaceAll('\\', '/'),
    (text) => text.replace(/[?#][\s\S]*$/, ''),
    (text) => text.replace(/\0[\s\S]*$/, ''),
    (text) => text.replace(/[^ -\u{10ffff}]/gu, ''),
  ];
  // Every order of the steps: each adds what it makes of the texts so far.
  for (let round = 0; round < 5; round++)
    for (const text of [...texts]) for (const step of steps) texts.add(step(text));
  for (const text of texts) {
    found.add(resolveDots(text));
    found.add(
      resolveDots(
        text.replace(/([^/])[. +]+(?=\/|$)/g, (all, first) => (first === '.' ? all.replace(/[ +]+$/, '') : first)),
      ),
    );
  }
  return [...found];
}

/** Once, and without the checks of a decoder: overlong UTF-8 and %uXXXX too. */
function decodeLeniently(text: string): string {
  const wide = text.replace(/%u([0-9a-f]{4})/gi, (_, digits) => String.fromCodePoint(Number.parseInt(digits, 16)));
  const byte = '%([0-9a-f]{2})';
  const value = (hex: string[], first: number) =>
    hex.reduce((sum, each, index) => sum * 64 + (Number.parseInt(each, 16) & (index === 0 ? first : 63)), 0);
  const many = (pattern: string, first: number) => (from: string) =>
    from.replace(new RegExp(pattern, 'gi'), (...hex) => {
      const code = value(hex.slice(1, -2), first);
      return code < 0x110000 ? bestFit(String.fromCodePoint(code)) : '';
    });
  const four = many('%(f[0-7])%([89ab].)%([89ab].)%([89ab].)', 7);
  const three = many('%(e.)%([89ab].)%([89ab].)', 15);
  const two = many('%([cd].)%([89ab].)', 31);
  return two(three(four(wide))).replace(new RegExp(byte, 'gi'), (_, hex) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** What Windows turns some characters into. */
const bestFit = (character: string): string =>
  ({
    '\uff0e': '.',
    '\uff0f': '/',
    '\uff3c': '\\',
    '\uff1b': ';',
    '\u2215': '/',
    '\u2044': '/',
    '\u2216': '\\',
    '\u00a5': '\\',
  })[character] ?? character;

function resolveDots(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  return `/${kept.join('/')}`;
}
