// Runs on one engine: the documentation pages don't use the database.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { withoutLogo } from '../../src/http/docs/redoc.ts';
import { callers, furtherCallers, startOwnServer } from '../support/callers.ts';
import { PASSWORD, sendRaw, startServer, type TestServer } from '../support/harness.ts';

const addresses = ['/docs', '/redoc', '/openapi.json'];
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; " +
  "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

test('everyone may see the pages and the document by default', async () => {
  await using server = await startServer();
  const answers = await Promise.all(addresses.map((path) => get(server, path)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(answers.map(({ headers }) => headers.get('content-type'))).toEqual([
    'text/html; charset=utf-8',
    'text/html; charset=utf-8',
    'application/json; charset=utf-8',
  ]);
  expect(answers[2]?.text).toContain('"openapi":"3.1.0"');
});

test.each(['/docs', '/redoc'])(
  '%s has BackChannel in its title, and loads files from this server only',
  async (path) => {
    await using server = await startServer();
    const { text } = await get(server, path);
    expect(text).toMatch(/<title>BackChannel .*<\/title>/);
    expect(text).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=|javascript:/);
    const links = [...text.matchAll(/\b(?:src|href)="(.*?)"/g)].map(([, link = '']) => link);
    const files = links.filter((link) => !link.startsWith('data:'));
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      expect(file).toMatch(/^\.\//);
      const { status, headers } = await get(server, new URL(file, `${server.url}${path}`).pathname);
      expect(status, file).toBe(200);
      expect(headers.get('content-type'), file).toMatch(/^(text\/css|(text|application)\/(javascript|json)); charset=/);
    }
  },
);

test('the pages and their files have a policy that names no other host', async () => {
  await using server = await startServer();
  for (const path of [...addresses, '/docs/swagger-ui-bundle.js', '/docs/swagger-ui-init.js', '/redoc/start.js']) {
    const { headers } = await get(server, path);
    expect(headers.get('content-security-policy'), path).toBe(CSP);
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
  }
  expect((await get(server, '/healthz')).headers.get('content-security-policy')).not.toContain('script-src');
});

test('only the files that the pages need are served from their packages', async () => {
  await using server = await startServer();
  for (const path of [
    '/docs/index.html',
    '/docs/package.json',
    '/docs/swagger-initializer.js',
    '/redoc/redoc.lib.js',
  ]) {
    expect((await get(server, path)).status, path).toBe(404);
  }
});

test('Swagger UI uses no validator, stores no token, and has "Try it out" enabled', async () => {
  await using server = await startServer();
  const { text } = await get(server, '/docs/swagger-ui-init.js');
  for (const line of ['"validatorUrl": null', '"persistAuthorization": false', '"tryItOutEnabled": true']) {
    expect(text).toContain(line);
  }
  expect(text).toContain('"swaggerUrl": "openapi.json"');
});

test("ReDoc's bundle is served without the logo that it would load from another host", async () => {
  await using server = await startServer();
  const { text } = await get(server, '/redoc/redoc.standalone.js');
  expect(text.length).toBeGreaterThan(500_000);
  expect(text).not.toContain('cdn.redoc');
});

test('a bundle of ReDoc without this logo, or with two, is refused at the start', () => {
  const logo = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
  const without = (bundle: string) => withoutLogo(Buffer.from(bundle)).toString();
  expect(without(`src:"${logo}", 'ü'`)).toBe(`src:"data:,", 'ü'`);
  expect(() => without('src:"https://elsewhere.example/logo.svg"')).toThrow(/0 times/);
  expect(() => without(logo + logo)).toThrow(/2 times/);
});

test('with DOCS=off, nothing is served', async () => {
  await using server = await startServer({ docs: 'off' });
  for (const path of [...addresses, '/docs/swagger-ui.css', '/redoc/redoc.standalone.js']) {
    const { status, text } = await get(server, path);
    expect(status).toBe(404);
    expect(JSON.parse(text)).toEqual({ code: 'NOT_FOUND', message: `There is nothing at ${path}.` });
  }
});

test('with DOCS=login, the pages require a sign-in', async () => {
  await using server = await startServer({ docs: 'login' });
  const client = server.client();
  const paths = [...addresses, '/docs/swagger-ui.css', '/redoc/redoc.standalone.js'];
  for (const path of paths) {
    const { status, headers, text } = await get(server, path);
    expect(status).toBe(401);
    expect(JSON.parse(text)).toEqual({ code: 'UNAUTHORIZED', message: expect.stringContaining('/api/v1/auth/login') });
    expect(headers.get('cache-control')).toBe('no-store');
  }
  await client.signIn();
  for (const path of paths) expect((await get(server, path, { cookie: client.cookie })).status).toBe(200);
});

test('with DOCS=login, a navigating browser is redirected to sign in, and back', async () => {
  await using server = await startServer({ docs: 'login' });
  const client = server.client();
  // fetch() would send the headers of a program.
  const ask = (path: string, headers: Record<string, string>) => sendRaw(server.url, `GET ${path}`, { headers });
  const person = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  for (const path of ['/docs', '/redoc', '/openapi.json', '/docs?a=b&c']) {
    const { status, headers, text } = await ask(path, person);
    expect([status, headers.location]).toEqual([302, [`/login?next=${encodeURIComponent(path)}`]]);
    expect(headers['cache-control']).toEqual(['no-store']);
    expect(text).not.toContain('swagger');
    const form = await client.page(headers.location?.[0] ?? '');
    const next = /name="next" value="(.*?)"/.exec(form.body)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const signedIn = await client.page('/login', { password: PASSWORD, next });
    expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, path]);
    expect((await ask(path, { ...person, cookie: client.cookie })).status).toBe(200);
    await client.page('/logout', {});
  }
  // Requests of pages and programs get no redirect.
  const script = { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' };
  expect((await ask('/docs/swagger-ui-bundle.js', script)).status).toBe(401);
  expect((await ask('/docs', { 'sec-fetch-mode': 'cors', accept: 'text/html' })).status).toBe(401);
});

test('with DOCS=login, the pages are open to the same callers as a query of the API', async () => {
  await using server = await startOwnServer({ docs: 'login' });
  for (const { caller, arrive } of [...callers, ...furtherCallers]) {
    const headers = await arrive(server);
    const asked = await server.client().rest('GET', '/client/protected', undefined, headers);
    for (const path of addresses) {
      const { status, text } = await get(server, path, headers);
      expect([caller, path, status]).toEqual([caller, path, asked.status]);
      if (status !== 200) expect(JSON.parse(text).code).toBe(asked.body.code);
    }
  }
});

test('a trailing slash redirects to the page', async () => {
  await using server = await startServer();
  for (const [path, target] of [
    ['/docs/', '/docs'],
    ['/redoc/', '/redoc'],
  ] as const) {
    const { status, headers } = await get(server, path);
    expect([status, headers.get('location')]).toEqual([302, target]);
  }
});

test('a file that the browser already has is not sent again', async () => {
  await using server = await startServer();
  for (const path of [...addresses, '/docs/swagger-ui-bundle.js', '/redoc/redoc.standalone.js']) {
    const { headers } = await get(server, path);
    const etag = headers.get('etag') ?? '';
    expect(headers.get('cache-control'), path).toBe('private, no-cache');
    const again = await get(server, path, { 'if-none-match': etag, 'cache-control': 'max-age=0' });
    expect([again.status, again.text], path).toEqual([304, '']);
  }
});

test('HEAD responds like GET without the body; other methods are refused with Allow', async () => {
  await using server = await startServer();
  for (const path of [...addresses, '/docs/swagger-ui.css']) {
    const head = await get(server, path, {}, 'HEAD');
    const full = await get(server, path);
    expect([head.status, head.text], path).toEqual([full.status, '']);
    for (const name of ['content-length', 'content-type', 'etag']) {
      expect(head.headers.get(name), `${path} ${name}`).toBe(full.headers.get(name));
    }
    const post = await get(server, path, {}, 'POST');
    expect([post.status, post.headers.get('allow')], path).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect(JSON.parse(post.text)).toMatchObject({ code: 'METHOD_NOT_SUPPORTED' });
    expect((await get(server, path, {}, 'OPTIONS')).status, path).toBe(204);
  }
});

test('a start does not load the libraries that generate the document', async () => {
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    await import(${JSON.stringify(new URL('../../src/http/app.ts', import.meta.url).href)});
    console.log(JSON.stringify(loaded));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  const loaded: string[] = JSON.parse(stdout);
  expect(loaded.filter((url) => url.includes('/http/docs'))).not.toEqual([]);
  expect(loaded.filter((url) => /\/(trpc-to-openapi|zod-openapi)@|\/http\/openapi/.test(url))).toEqual([]);
});

async function get(server: TestServer, path: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(`${server.url}${path}`, { method, headers, redirect: 'manual' });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
