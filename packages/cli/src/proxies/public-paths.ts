// Which spelling of a public path is public: only one that every common server reads as that path. Any other needs sign-in,
// because the application may read it as another path. Tomcat drops what follows a `;` before it resolves `..`, IIS reads a
// backslash as a slash, and some servers decode twice.

/** After a `%`: what a server may read as a part of the syntax when it decodes it. */
const encoded = [
  // Malformed: at the end, or without two digits, such as %u002e (IIS).
  '.?$|[^0-9a-f]|.[^0-9a-f]',
  // Control characters, also those above ASCII.
  '[01]|7f|c2%[89]',
  // # % . / ; ? \
  '2[35ef]|3[bf]|5c',
  // UTF-8 in more bytes than it needs, such as %c0%ae for a dot (RFC 3629, 10), and bytes that it never has.
  'c[01]|e0%[89]|f0%8|f[5-9a-f]',
  // What Windows turns into a dot, a slash, a backslash or a semicolon: U+00A5, 2044, 2215, 2216, FF0E, FF0F, FF1B, FF3C.
  'c2%a5|e2%81%84|e2%88%9[56]|ef%bc%(?:8[ef]|9b|bc)',
].join('|');

/**
 * A segment that is empty, or only dots and spaces: Windows drops these at the end of a name, and reads `.. ` as `..`. No group
 * is repeated, because PCRE 1 takes stack for each repetition, and a target can be long.
 */
const hollow = (dots: string, end: string): string => `/${dots}*/|/${dots}+(?:${end})|%20${dots}*(?:/|${end})`;

/**
 * Matches an ambiguous spelling in the target of a request, as the client sent it. The query doesn't count. The case of
 * letters must be ignored. It means the same in PCRE and RE2.
 */
export const ambiguousTarget = `^[^?]*(?:[^!-~]|[;#\\x5c]|${hollow('[.+]', '[?]|$')}|%(?:${encoded}))`;

/**
 * The same for Traefik (RE2), whose rules see a path without its query. Depending on Traefik's version, all of it is decoded,
 * or all but reserved characters, or nothing.
 */
export const ambiguousPath = `(?i)[\\x00-\\x1f\\x7f-\\x9f;#?\\x5c\\x{a5}\\x{2044}\\x{2215}\\x{2216}\\x{ff0e}\\x{ff0f}\\x{ff1b}\\x{ff3c}\\x{fffd}]|${hollow('[.+ ]', '$')}|%(?:${encoded})`;

/** Matches the start of the target of a request for a public path, in the plain spelling. */
export const publicTarget = (path: string): string =>
  `^${path.replaceAll('.', '[.]')}${path.endsWith('/') ? '' : '(?:[?]|$)'}`;
