// The pages for people in a real browser: by keyboard, without script, on a phone, for a screen reader, in light and dark.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { openBrowser, type TestBrowser } from '../browser.ts';
import { findFreePorts } from '../free-ports.ts';
import { openServer } from '../server.ts';
import { watch } from '../watch.ts';

const PASSWORD = 'admin123';
const phone = { width: 390, height: 844 };

test('signs in by keyboard and without script, and comes back to the deep link at another port', async (context) => {
  await using browser = await openBrowser(context);
  await using server = await openServer();
  await using application = await openApplication();
  const page = await newPage(browser, { javaScriptEnabled: false });
  const problems = watch(page, server.url);
  const next = `${application.url.replace('127.0.0.1', 'localhost')}/deep/link?a=b&c=%26`;

  await page.goto(`${server.url}/login?${new URLSearchParams({ next })}`);
  await typePassword(page, PASSWORD);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.href === next);
  expect(await page.textContent('body')).toBe('GET /deep/link?a=b&c=%26');
  expect(problems).toEqual([expect.stringContaining('asked another host: http://localhost:')]);

  await page.goto(server.url);
  expect(await page.locator('.list').textContent()).toMatch(/this browser.*kept signed in/s);
});

test('a wrong password is said in words, and the field has the focus to try again', async (context) => {
  await using browser = await openBrowser(context);
  await using server = await openServer();
  const page = await newPage(browser);
  await page.goto(`${server.url}/login`);
  await typePassword(page, 'wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  expect(await page.title()).toMatch(/^Wrong password/);
  expect(await page.getByLabel('Password').inputValue()).toBe('');
  await typePassword(page, PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${server.url}/`);
});

test('ends other sessions, and its own', async (context) => {
  await using browser = await openBrowser(context);
  await using server = await openServer();
  const [first, second, third] = [await newPage(browser), await newPage(browser), await newPage(browser)];
  for (const page of [second, third, first]) await signIn(page, server.url);
  const problems = watch(first, server.url);

  await first
    .getByRole('button', { name: /^End the session of/ })
    .first()
    .click();
  await expect.poll(() => first.getByRole('button', { name: /^End the session of/ }).count()).toBe(1);
  await first.getByRole('button', { name: 'End all other sessions' }).click();
  await expect.poll(() => first.locator('.list li').count()).toBe(1);
  for (const page of [second, third]) {
    await page.goto(server.url);
    expect(page.url()).toBe(`${server.url}/login`);
  }

  await first.getByRole('button', { name: 'Sign out' }).click();
  await first.getByRole('heading', { name: 'You are signed out' }).waitFor();
  await first.getByRole('link', { name: 'Sign in again' }).click();
  await first.getByLabel('Password').waitFor();
  expect(problems).toEqual([]);
});

test('at another address there is no form, but a button to the right one, which keeps where to go on to', async (context) => {
  await using browser = await openBrowser(context);
  await using application = await openApplication();
  const [port = 0] = await findFreePorts(1);
  const publicUrl = `http://nas:${port}`;
  await using server = await openServer({ MASTER_PASSWORD: PASSWORD, PORT: String(port), PUBLIC_URL: publicUrl });
  const page = await newPage(browser, { viewport: phone });
  // Another port of PUBLIC_URL's host name is an application that may be returned to.
  const next = application.url.replace('127.0.0.1', 'nas');
  await page.goto(`http://my_nas:${port}/login?${new URLSearchParams({ next: `${next}/deep` })}#/link`);
  await page.getByRole('heading', { name: 'Wrong address' }).waitFor();
  expect(await page.locator('form, input').count()).toBe(0);
  expect(await faultsOf(page)).toEqual([]);
  await page.getByRole('link', { name: `Go to nas:${port}` }).click();
  await typePassword(page, PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${next}/deep#/link`);
  expect(server.output()).not.toContain('/link');
});

test('a wait counts down, and the page says when it is over', async (context) => {
  await using browser = await openBrowser(context);
  await using server = await openServer({ LOGIN_MAX_FAILURES: '1' });
  const page = await newPage(browser);
  await page.clock.install();
  await page.goto(`${server.url}/login`);
  for (const text of ['Wrong password.', 'Too many wrong passwords.']) {
    await page.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText(text).waitFor();
  }
  const timer = page.locator('#wait');
  expect(await timer.textContent()).toMatch(/^Try again in (30|29) seconds\.$/);
  await page.clock.runFor(20_000);
  expect(await timer.textContent()).toMatch(/^Try again in (10|9) seconds\.$/);
  await page.clock.runFor(11_000);
  expect(await timer.textContent()).toBe('You can try again now.');
  expect(await page.getByRole('status').textContent()).toBe('You can try again now.');
});

test.for(['light', 'dark'] as const)(
  'axe finds nothing on any page in %s, and none is wider than a phone',
  async (colorScheme, context) => {
    await using browser = await openBrowser(context);
    await using server = await openServer();
    const page = await newPage(browser, { colorScheme, viewport: phone });
    const found: string[] = [];
    const look = async (heading: string) => {
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
      found.push(...(await faultsOf(page)).map((fault) => `${page.url()} "${heading}": ${fault}`));
    };
    const next = 'http://localhost:9/deep/link';

    await page.goto(`${server.url}/login?${new URLSearchParams({ next })}`);
    await look('Sign in');
    // As it is shown at another address.
    await page.route('**/login?elsewhere', async (route) => {
      await route.fulfill({ response: await route.fetch({ headers: { host: 'nas:8000' } }) });
    });
    await page.goto(`${server.url}/login?elsewhere`);
    await look('Wrong address');
    await page.goto(`${server.url.replace('localhost', '127.0.0.1')}/login`);
    await page.getByText('This address is not PUBLIC_URL').waitFor();
    await look('Sign in');
    await page.goto(`${server.url}/login?dropped=long`);
    await page.getByText('is too long to return to').waitFor();
    await look('Sign in');
    await page.goto(`${server.url}/login?${new URLSearchParams({ next })}`);
    for (let tries = 0; tries < 5; tries += 1) {
      await page.getByLabel('Password').fill('wrong');
      await page.keyboard.press('Enter');
      await page.getByText('Wrong password.').waitFor();
    }
    await look('Sign in');
    await page.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('Try again in').waitFor();
    await look('Sign in');
    await page.route('**/logout', (route) =>
      route.continue({ headers: { ...route.request().headers(), origin: 'null' } }),
    );

    await using fresh = await openServer();
    for (const each of [await newPage(browser), page]) await signIn(each, fresh.url);
    await look('Where you are signed in');
    // As often as an application that keeps sending people back.
    const sent = { params: { next }, maxRedirects: 0 };
    for (let visit = 0; visit < 5; visit += 1) await page.request.get(`${fresh.url}/login`, sent);
    for (const query of [{ next }, { next: 'http://photos.example.com/' }, { reason: 'proxy-not-trusted' }]) {
      await page.goto(`${fresh.url}/login?${new URLSearchParams(query)}`);
      await page.getByText(/^(Does|Did) .* here\?$/).waitFor();
      await look('You are signed in');
    }
    // The page on the way to the application, which stays without this header.
    const onWay = await newPage(browser, { colorScheme, viewport: phone });
    await onWay.route('**/login', async (route) => {
      const response = await route.fetch();
      const { refresh, ...headers } = response.headers();
      expect(refresh).toBe(`0;url=${next}`);
      await route.fulfill({ response, headers });
    });
    await onWay.goto(`${fresh.url}/login?${new URLSearchParams({ next })}`);
    await typePassword(onWay, PASSWORD);
    await onWay.keyboard.press('Enter');
    await onWay.getByRole('link', { name: 'Continue to localhost:9' }).waitFor();
    found.push(...(await faultsOf(onWay)));
    await page.goto(`${fresh.url}/logout`);
    await look('Sign out?');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await look('You are signed out');
    await page.goto(`${fresh.url}/nothing`);
    await look('Page not found');
    await page.route('**/login', (route) => route.continue({ method: 'DELETE' }));
    await page.goto(`${fresh.url}/login`);
    await look('Method not allowed');
    expect(found).toEqual([]);
  },
);

async function newPage(browser: TestBrowser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(10_000);
  return page;
}

/** Types without clicking the field, which has the focus automatically. */
async function typePassword(page: Page, password: string): Promise<void> {
  await page.locator('#password:focus').waitFor();
  await page.keyboard.type(password);
}

async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/login`);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${url}/`);
}

/** What axe finds of every rule that it has, a contrast of 7 to 1 among them, and whether anything sticks out. */
async function faultsOf(page: Page): Promise<string[]> {
  // As a text over the debugger, which the page's own policy does not bind.
  await page.evaluate(axe.source);
  const faults = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    // All of them, but the one that asks for a look at whatever is hidden: the name for password managers is.
    const rules = axe.getRules().map(({ ruleId }) => [ruleId, { enabled: ruleId !== 'hidden-content' }]);
    const { violations, incomplete } = await axe.run({ rules: Object.fromEntries(rules) });
    return [...violations, ...incomplete].flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id} ${html}`));
  });
  await page.setViewportSize({ width: 320, height: 640 });
  const overflow = await page.locator('html').evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
  await page.setViewportSize(phone);
  return overflow > 0 ? [...faults, `${overflow} px wider than 320 px`] : faults;
}

/** Another application on this machine: it answers with what it was asked for. */
async function openApplication(): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((req, res) => res.end(`${req.method} ${req.url}`));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
