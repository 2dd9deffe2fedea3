// The documentation as people use it, in a real browser: Swagger UI at /docs, ReDoc at /redoc.
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser, type TestBrowser } from '../browser.ts';
import { openServer, type Server } from '../server.ts';
import { watch } from '../watch.ts';

let server: Server;
beforeAll(async () => {
  server = await openServer();
});
afterAll(() => server?.[Symbol.asyncDispose]());

test('Swagger UI at /docs shows every operation, and neither errs nor asks another host', async (context) => {
  await using browser = await openBrowser(context);
  const { page, problems } = await visit(browser, `${server.url}/docs`);
  await openAllTags(page);

  const documented = await documentedOperations(server.url);
  await expect.poll(() => shownOperations(page)).toEqual(documented);
  expect(documented).toContain('POST /auth/login');
  await page.waitForLoadState('networkidle');
  expect(problems).toEqual([]);
});

test('a login through "Try it out" in Swagger UI signs the same page in', async (context) => {
  await using browser = await openBrowser(context);
  const { page, problems } = await visit(browser, `${server.url}/docs`);
  await openAllTags(page);

  const login = await tryOut(page, 'post', '/auth/login');
  await login.locator('textarea.body-param__text').fill('{"password": "admin123"}');
  expect(await execute(login)).toEqual({ status: '200', body: expect.stringMatching(/"authenticated": true/) });

  const me = await tryOut(page, 'get', '/auth/me');
  expect(await execute(me)).toEqual({ status: '200', body: expect.stringMatching(/"method": "session"/) });
  expect(problems).toEqual([]);
});

test('a token made in Swagger UI and put into its Authorize dialog is what the page then calls with', async (context) => {
  await using browser = await openBrowser(context);
  const { page, problems } = await visit(browser, `${server.url}/docs`);
  await openAllTags(page);
  const login = await tryOut(page, 'post', '/auth/login');
  expect(await execute(login)).toMatchObject({ status: '200' });
  // As the page fills it in.
  const made = await execute(await tryOut(page, 'post', '/auth/tokens'));
  const [secret = ''] = /\bbct_[\w-]{43}\b/.exec(made.body ?? '') ?? [];
  expect(made).toEqual({ status: '200', body: expect.stringContaining(secret) });

  await page.locator('.auth-wrapper .btn.authorize').first().click();
  const scheme = page.locator('.auth-container', { hasText: 'bearer' });
  await scheme.locator('input').fill(secret);
  await scheme.getByRole('button', { name: 'Apply credentials' }).click();
  await scheme.getByRole('button', { name: 'Close' }).click();

  const me = await tryOut(page, 'get', '/auth/me');
  expect(await execute(me)).toEqual({ status: '200', body: expect.stringMatching(/"method": "token"/) });
  const events = await tryOut(page, 'get', '/auth/events');
  expect(await execute(events)).toEqual({ status: '200', body: expect.stringMatching(/"type": "token.created"/) });
  expect(problems).toEqual([]);
});

test('ReDoc at /redoc shows the document, its search finds, and it neither errs nor asks another host', async (context) => {
  await using browser = await openBrowser(context);
  const { page, problems } = await visit(browser, `${server.url}/redoc`);
  await page.getByRole('heading', { level: 1 }).first().waitFor();
  const shown = page.locator('[data-section-id^="tag/"], [data-section-id^="operation/"]');
  await expect.poll(() => shown.count()).toBeGreaterThan(0);

  await page.getByPlaceholder('Search...').fill('hash');
  const results = page.locator('[data-role="search:results"] li');
  await expect.poll(() => results.count()).toBeGreaterThan(0);
  expect((await results.allInnerTexts()).join('\n')).toMatch(/hash/i);

  await results.first().click();
  await page.waitForLoadState('networkidle');
  expect(problems).toEqual([]);
});

async function visit(browser: TestBrowser, url: string): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage();
  page.setDefaultTimeout(10_000);
  const problems = watch(page, new URL(url).origin);
  expect((await page.goto(url))?.status()).toBe(200);
  return { page, problems };
}

async function documentedOperations(url: string): Promise<string[]> {
  const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options', 'trace'];
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, object> };
  return Object.entries(paths)
    .flatMap(([path, item]) => Object.keys(item).map((method) => ({ path, method })))
    .filter(({ method }) => methods.includes(method))
    .map(({ path, method }) => operation(method, path))
    .sort();
}

async function shownOperations(page: Page): Promise<string[]> {
  const blocks = await page.locator('.opblock').all();
  const shown = blocks.map(async (block) =>
    operation(
      (await block.locator('.opblock-summary-method').textContent()) ?? '',
      (await block.locator('[data-path]').first().getAttribute('data-path')) ?? '',
    ),
  );
  return (await Promise.all(shown)).sort();
}

/** "POST /auth/login", whether the document has the prefix in its paths or in its server's address. */
function operation(method: string, path: string): string {
  return `${method.toUpperCase()} ${path.replace(/^\/api\/v1(?=\/)/, '')}`;
}

async function openAllTags(page: Page): Promise<void> {
  await page.locator('.opblock-tag').first().waitFor();
  const closed = page.locator('.opblock-tag[data-is-open="false"]');
  while ((await closed.count()) > 0) await closed.first().click();
}

async function tryOut(page: Page, method: string, path: string): Promise<Locator> {
  const block = page.locator(`.opblock-${method}`, { has: page.locator(`[data-path$="${path}"]`) });
  await block.locator('.opblock-summary').click();
  // The page may be set to offer the form at once.
  const offer = block.getByRole('button', { name: 'Try it out' });
  await offer
    .or(block.getByRole('button', { name: 'Execute' }))
    .first()
    .waitFor();
  if (await offer.isVisible()) await offer.click();
  return block;
}

async function execute(block: Locator): Promise<{ status: string | null; body: string | null }> {
  await block.getByRole('button', { name: 'Execute' }).click();
  const response = block.locator('.live-responses-table .response').first();
  return {
    status: await response.locator('.response-col_status').textContent(),
    body: await response.locator('.response-col_description').textContent(),
  };
}
