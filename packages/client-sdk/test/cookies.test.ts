import { expect, test, vi } from 'vitest';
import { createCookieJar } from '../src/cookies.ts';

const PATH = '/trpc/auth.me';

/** The Cookie header for PATH after a response with these Set-Cookie lines. */
function header(lines: string[], url = 'http://localhost:8000'): string {
  const jar = createCookieJar(new URL(url));
  jar.remember(lines, PATH);
  return jar.header(PATH);
}

test('name and value are kept unchanged, and a later cookie replaces an earlier one of the same name', () => {
  expect(header(['a=1; Path=/', ' b = x=y== ; path=/; HttpOnly; SameSite=Lax', 'a=2'])).toBe('a=2; b=x=y==');
  expect(header(['', '=x', 'novalue'])).toBe('novalue=');
});

test.each([
  ['Max-Age=0', ''],
  ['max-age=-1', ''],
  ['Max-Age=60', 'a=1'],
  ['Max-Age=soon', 'a=1'],
  ['Expires=Thu, 01 Jan 1970 00:00:00 GMT', ''],
  ['Expires=Fri, 01 Jan 2100 00:00:00 GMT', 'a=1'],
  ['Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'a=1'],
])('Max-Age and Expires limit a cookie: %s', (attribute, sent) => {
  expect(header(['a=0; Path=/', `a=1; Path=/; ${attribute}`])).toBe(sent);
});

test('a cookie expires', () => {
  vi.useFakeTimers({ now: 0 });
  try {
    const jar = createCookieJar(new URL('http://localhost:8000'));
    jar.remember(['a=1; Path=/; Max-Age=60', 'b=2; Path=/'], PATH);
    vi.setSystemTime(59_999);
    expect(jar.header(PATH)).toBe('a=1; b=2');
    vi.setSystemTime(60_000);
    expect(jar.header(PATH)).toBe('b=2');
  } finally {
    vi.useRealTimers();
  }
});

test.each([
  ['Path=/', 'a=1'],
  ['Path=/trpc', 'a=1'],
  ['Path=/trpc/', 'a=1'],
  ['Path=/trpc/auth.me', 'a=1'],
  ['', 'a=1'],
  ['Path=trpc', 'a=1'],
  ['Path=/tr', ''],
  ['Path=/trpc/auth', ''],
  ['Path=/login', ''],
])('a cookie is sent only under its path: %s', (attribute, sent) => {
  expect(header([`a=1; ${attribute}`])).toBe(sent);
});

test.each([
  ['https://backchannel.test', 'a=1'],
  ['http://localhost:8000', 'a=1'],
  ['http://127.0.0.1:8000', 'a=1'],
  ['http://[::1]:8000', 'a=1'],
  ['http://nas:8000', ''],
  ['http://127.0.0.1.example.com', ''],
])('a Secure cookie is kept over https and on loopback only: %s', (url, sent) => {
  expect(header(['a=1; Path=/; Secure'], url)).toBe(sent);
});
