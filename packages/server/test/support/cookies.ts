// Cookies as a browser handles them, without its rules: what it would send next, and what is in that.

/** The Cookie header for the cookies that a response sets. */
export const cookieOf = ({ headers }: { headers: Headers }): string =>
  headers
    .getSetCookie()
    .map((line) => line.slice(0, line.indexOf(';')))
    .join('; ');

/** One value of a Cookie header; empty if it is absent. */
export const cookieValue = (cookie: string, name: string): string =>
  cookie
    .split('; ')
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1) ?? '';
