// What happens between the sign-in form and the application, in a real browser through real proxies: wherever the application
// redirects, under whatever kind of host name, and with the fragment that only the browser knows.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, describe, expect, type TestContext, test } from 'vitest';
import { openBrowser, type TestBrowser } from '../browser.ts';
import { findFreePorts } from '../free-ports.ts';
import { printBlock } from '../print-block.ts';
import { findProxy, makeCertificate, openProxy, type ProxyName } from '../proxy.ts';
import { openServer } from '../server.ts';

const PASSWORD = 'correct horse battery staple';

/** Hosts that PUBLIC_URL accepts and for which a Content-Security-Policy may have no syntax. */
const plainHosts = ['127.0.0.1', '[::1]', 'my_nas'];

interface Place {
  auth: string;
  /** Origins under COOKIE_DOMAIN, all of which lead to the application. */
  app: string;
  appAtOtherPort: string;
  www: string;
  withUnderscore: string;
  /** For each of `plainHosts`, an application on another port of BackChannel's own host, over http. */
  plain: { auth: string; app: string }[];
  /** Nobody signs in there. */
  stranger: string;
}

async function openPlace(name: ProxyName, scope: AsyncDisposableStack): Promise<Place | { missing: string }> {
  if ((await findProxy(name)) === null) return { missing: `no ${name} here` };
  const folder = await mkdtemp(join(tmpdir(), 'backchannel-after-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const certificate = await makeCertificate(folder, ['*.example.test']);
  if (certificate === null) return { missing: 'no openssl here' };
  const application = scope.use(await openApplication());
  const stranger = scope.use(await openApplication());
  const files = ['--cert', certificate.cert, '--key', certificate.key];
  const [port = 0, otherPort = 0, ownPort = 0, ...others] = await findFreePorts(3 + 2 * plainHosts.length);
  const common = { MASTER_PASSWORD: PASSWORD, TRUSTED_PROXIES: '127.0.0.1,::1' };

  const auth = `https://auth.example.test:${port}`;
  const secure = { ...common, PORT: String(ownPort), PUBLIC_URL: auth, COOKIE_DOMAIN: 'example.test' };
  const origins = {
    app: `https://app.example.test:${port}`,
    appAtOtherPort: `https://app.example.test:${otherPort}`,
    www: `https://www.example.test:${port}`,
    withUnderscore: `https://my_app.example.test:${port}`,
  };
  const plain = plainHosts.map((host, index) => ({
    host,
    env: { ...common, HOST: host === '[::1]' ? '::1' : '127.0.0.1', PORT: String(others[2 * index]) },
    auth: `http://${host}:${others[2 * index]}`,
    app: `http://${host}:${others[2 * index + 1]}`,
  }));
  const blocks = [
    printBlock(secure, name, ...files),
    ...Object.values(origins).map((origin) =>
      printBlock(secure, name, new URL(origin).host, application.url, ...files),
    ),
    ...plain.map(({ env, auth, app }) =>
      printBlock({ ...env, PUBLIC_URL: auth }, name, new URL(app).host, application.url),
    ),
  ];
  const servers = [openServer(secure), ...plain.map(({ env, auth }) => openServer({ ...env, PUBLIC_URL: auth }))];
  for (const server of await Promise.all(servers)) scope.use(server);
  scope.use(await openProxy(name, await Promise.all(blocks)));
  return {
    auth,
    ...origins,
    plain: plain.map(({ auth, app }) => ({ auth, app })),
    stranger: stranger.url,
  };
}

describe.each(['nginx', 'caddy'] as const)('through %s', (name) => {
  const scope = new AsyncDisposableStack();
  let opened: ReturnType<typeof openPlace> | undefined;
  afterAll(() => scope.disposeAsync());

  const enter = async (context: TestContext): Promise<Place> => {
    opened ??= openPlace(name, scope);
    const place = await opened;
    if (!('missing' in place)) return place;
    const note = `skipped: ${place.missing}`;
    console.warn(note);
    return context.skip(note);
  };

  test('signing in leads to wherever the application redirects, with and without script', async (context) => {
    const place = await enter(context);
    await using browser = await openBrowser(context);
    const { app } = place;
    for (const javaScriptEnabled of [true, false]) {
      for (const [to, arrives = to] of [
        // As a single sign-on that starts by itself: the provider is an origin of its own.
        [`${place.stranger}/authorize?a=b`],
        // As an application with one canonical host name, or port.
        [`${place.www}/canonical`],
        [`${place.appAtOtherPort}/canonical`],
        // Away and back again, in several steps.
        [`${place.stranger}/go?to=${encodeURIComponent(`${app}/back`)}`, `${app}/back`],
        ['/page', `${app}/page`],
      ] as const) {
        const page = await newPage(browser, { javaScriptEnabled });
        await page.goto(`${app}/go?to=${encodeURIComponent(to)}`);
        expect(page.url()).toContain(`${place.auth}/login?next=`);
        await signIn(page);
        await page.waitForURL(arrives);
        expect(await page.textContent('h1')).toBe('Application');
        await page.context().close();
      }
    }
  });

  test('signing in works under every kind of host name that the configuration accepts', async (context) => {
    const place = await enter(context);
    await using browser = await openBrowser(context);
    for (const { auth, app } of [...place.plain, { auth: place.auth, app: place.withUnderscore }]) {
      const page = await newPage(browser);
      await page.goto(`${app}/go?to=/page`);
      expect(page.url()).toContain(`${auth}/login?next=`);
      await signIn(page);
      await page.waitForURL(`${app}/page`);
      await page.context().close();
    }
  });

  test('the query arrives as the browser sends it', async (context) => {
    const { app } = await enter(context);
    await using browser = await openBrowser(context);
    for (const query of ['left={"expr":"{job=\\"api\\"}"}&c=d+e', `\\\\evil.example|^\`'<ü>%5c`, 'x'.repeat(6000)]) {
      const page = await newPage(browser);
      // What the browser itself makes of it is what the application should get.
      const expected = new URL(`${app}/html?${query}`).href;
      await page.goto(`${app}/html?${query}`);
      expect(page.url()).toContain('/login?next=');
      await signIn(page);
      await page.waitForURL((url) => url.href === expected);
      await page.context().close();
    }
  });

  test('the fragment of the address is there again after signing in, even after a wrong password', async (context) => {
    const place = await enter(context);
    await using browser = await openBrowser(context);
    for (const { auth, app } of [{ auth: place.auth, app: place.app }, ...place.plain.slice(0, 1)]) {
      const page = await newPage(browser);
      await page.goto(`${app}/html?a=1#/deep/link?b=%20c&"<é>`);
      expect(page.url()).toContain(`${auth}/login?next=`);
      await signIn(page, 'wrong');
      await page.getByText('Wrong password.').waitFor();
      await signIn(page);
      await page.waitForURL(`${app}/html?a=1#/deep/link?b=%20c&%22%3C%C3%A9%3E`);
      await page.context().close();
    }
  });

  test('a service worker that fetches navigations itself does not keep anyone from signing in', async (context) => {
    const { plain } = await enter(context);
    const { auth = '', app = '' } = plain[0] ?? {};
    await using browser = await openBrowser(context);
    const page = await newPage(browser);
    await page.goto(`${app}/page`);
    await signIn(page);
    await page.waitForURL(`${app}/page`);
    // As a text, because these tests know no types of browsers.
    await page.evaluate(`(async () => {
      const isInControl = new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
      await navigator.serviceWorker.register('/worker.js');
      await isInControl;
    })()`);
    await page.reload();
    expect(await page.textContent('h1')).toBe('Application');

    await page.context().clearCookies();
    await page.reload();
    expect(page.url()).toContain(`${auth}/login?next=`);
    await signIn(page);
    await page.waitForURL(`${app}/page`);
    expect(await page.textContent('h1')).toBe('Application');
    // What the worker fetches for itself is no navigation.
    await page.context().clearCookies();
    expect(await page.evaluate(async () => (await fetch('/page', { redirect: 'manual' })).status)).toBe(401);
  });

  test('any number of tabs that wait at sign-in get to the application when one of them signs in', async (context) => {
    const { app, auth } = await enter(context);
    await using browser = await openBrowser(context);
    const first = await newPage(browser);
    const tabs = [first, ...(await Promise.all(Array.from({ length: 4 }, () => first.context().newPage())))];
    for (const tab of tabs) {
      await tab.goto(`${app}/page#/here`);
      expect(tab.url()).toContain(`${auth}/login?next=`);
    }
    await signIn(first);
    await first.waitForURL(`${app}/page#/here`);
    await Promise.all(tabs.slice(1).map((tab) => tab.reload()));
    // A redirect carries the fragment too.
    for (const tab of tabs) expect(tab.url()).toBe(`${app}/page#/here`);
  });

  test('a fragment cannot change where signing in leads', async (context) => {
    const place = await enter(context);
    await using browser = await openBrowser(context);
    const next = `${place.app}/html?a=1`;
    for (const fragment of [
      '@evil.example/',
      '//evil.example',
      '\\evil.example',
      '?next=//evil.example',
      '%0d%0aX:y',
      '#',
    ]) {
      const page = await newPage(browser);
      await page.goto(`${place.auth}/login?${new URLSearchParams({ next })}#${fragment}`);
      await signIn(page);
      await page.waitForURL((url) => url.pathname === '/html');
      const { origin, pathname, search } = new URL(page.url());
      expect(origin + pathname + search).toBe(next);
      await page.context().close();
    }
  });
});

async function newPage(browser: TestBrowser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true, ...options })).newPage();
  page.setDefaultTimeout(10_000);
  return page;
}

async function signIn(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

const worker = `
addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (event.request.mode === 'navigate') event.respondWith(fetch(event.request));
});
`;

/** An application that redirects where it is told to, and shows a page at any other path. */
async function openApplication(): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://application');
    if (pathname === '/worker.js') return res.setHeader('Content-Type', 'text/javascript').end(worker);
    if (pathname === '/go') return res.writeHead(302, { Location: searchParams.get('to') ?? '/' }).end();
    return res
      .setHeader('Content-Type', 'text/html')
      .end('<!doctype html><title>Application</title><h1>Application</h1>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
