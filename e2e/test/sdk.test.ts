// The client in a real browser: on a page of the server's own origin, on one of another origin of the same site, and where
// it may not call at all.
import type { BrowserContext, Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type * as sdk from '../../packages/client-sdk/src/index.ts';
import { openBrowser } from '../browser.ts';
import { bundle, html, openApplication } from '../page.ts';
import { isForBrowser, programsOf } from '../programs.ts';
import { openServer } from '../server.ts';

declare global {
  /** What the bundled script leaves for the tests' own. */
  var backchannel: typeof sdk;
}

const library = () =>
  bundle(`import * as sdk from '@backchannel/client-sdk'; globalThis.backchannel = sdk; document.title = 'ready';`);

/** A page with the client, in its own browser profile or in that of another page. */
async function openPage(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(url);
  await page.waitForFunction(isReady);
  return page;
}

const isReady = `document.title === 'ready'`;

const signIn = (page: Page, url: string) =>
  page.evaluate(async (url) => {
    const bc = backchannel.createBackchannelClient({ url });
    await bc.auth.login.mutate({ password: 'admin123' });
    const { method, session } = await bc.auth.me.query();
    return { method, device: session?.device };
  }, url);

const isSignedIn = (page: Page, url: string) =>
  page.evaluate(async (url) => {
    const bc = backchannel.createBackchannelClient({ url });
    return (await bc.auth.status.query()).authenticated;
  }, url);

const signOut = (page: Page, url: string) =>
  page.evaluate(async (url) => {
    const bc = backchannel.createBackchannelClient({ url });
    await bc.auth.logout.mutate();
  }, url);

/** What becomes of reading, signing out and signing in. */
const outcomes = (page: Page, url: string) =>
  page.evaluate(async (url) => {
    const bc = backchannel.createBackchannelClient({ url });
    const outcome = (call: Promise<unknown>) =>
      call.then(
        () => 'done',
        (error: unknown) => (error instanceof backchannel.BackchannelError ? error.code : String(error)),
      );
    return [
      await outcome(bc.auth.status.query()),
      await outcome(bc.auth.logout.mutate()),
      await outcome(bc.auth.login.mutate({ password: 'admin123' })),
    ];
  }, url);

test('a page of the same origin signs in, stays so when it is opened again, and signs out', async (context) => {
  await using browser = await openBrowser(context);
  await using server = await openServer();
  const script = await library();
  const profile = await browser.newContext();
  // As a proxy would put an application beside the API; all else goes to the server.
  await profile.route(`${server.url}/app/`, (route) => route.fulfill({ contentType: 'text/html', body: html(script) }));
  const page = await openPage(profile, `${server.url}/app/`);

  expect(await isSignedIn(page, server.url)).toBe(false);
  expect(await signIn(page, server.url)).toEqual({ method: 'session', device: expect.stringContaining('Chrome') });
  expect(await page.evaluate('document.cookie')).toBe('');
  await page.reload();
  await page.waitForFunction(isReady);
  expect(await isSignedIn(page, server.url)).toBe(true);
  await signOut(page, server.url);
  expect(await isSignedIn(page, server.url)).toBe(false);
});

test("docs/sdk.md's program for a page says who is signed in", async (context) => {
  await using browser = await openBrowser(context);
  await using server = await openServer();
  const script = await bundle(programsOf('docs/sdk.md').find(isForBrowser) ?? '');
  const profile = await browser.newContext();
  const page = await profile.newPage();
  await profile.route(`${server.url}/app/`, (route) => route.fulfill({ contentType: 'text/html', body: html(script) }));
  await page.goto(`${server.url}/app/`);
  await page.getByText('Signed out.').waitFor({ timeout: 10_000 });
  await profile.request.post(`${server.url}/api/v1/auth/login`, { data: { password: 'admin123' } });
  await page.reload();
  await page.getByText('Signed in.').waitFor({ timeout: 10_000 });
});

test('a page of an allowed origin of the same site shares the session with the server’s own pages', async (context) => {
  await using browser = await openBrowser(context);
  await using application = await openApplication(library);
  await using server = await openServer({ ALLOWED_ORIGINS: application.origin });
  const page = await openPage(await browser.newContext(), application.origin);

  expect(await isSignedIn(page, server.url)).toBe(false);
  expect(await signIn(page, server.url)).toEqual({ method: 'session', device: expect.stringContaining('Chrome') });
  const again = await openPage(page.context(), application.origin);
  expect(await isSignedIn(again, server.url)).toBe(true);
  await signOut(again, server.url);
  expect(await isSignedIn(page, server.url)).toBe(false);
});

test('errors keep their form across origins, and so do limits', async (context) => {
  await using browser = await openBrowser(context);
  await using application = await openApplication(library);
  await using server = await openServer({ ALLOWED_ORIGINS: application.origin, LOGIN_MAX_FAILURES: '1' });
  const page = await openPage(await browser.newContext(), application.origin);
  const codes = await page.evaluate(async (url) => {
    const bc = backchannel.createBackchannelClient({ url });
    const told = async (call: Promise<unknown>) => {
      const error = await call.catch((error: unknown) => error);
      if (!(error instanceof backchannel.BackchannelError)) return String(error);
      const { code, status, issues, retryAfterSeconds } = error;
      return { code, status, issues: issues.map(({ path }) => path), waits: (retryAfterSeconds ?? 0) > 0 };
    };
    const gone = AbortSignal.abort(new Error('left'));
    return [
      await told(bc.auth.me.query()),
      await told(bc.auth.login.mutate({ password: 5 } as never)),
      await told(bc.auth.login.mutate({ password: 'a guess' })),
      await told(bc.auth.login.mutate({ password: 'a guess' })),
      await told(bc.auth.me.query(undefined, { signal: gone })),
    ];
  }, server.url);
  expect(codes).toEqual([
    { code: 'UNAUTHORIZED', status: 401, issues: [], waits: false },
    { code: 'BAD_REQUEST', status: 400, issues: ['password'], waits: false },
    { code: 'UNAUTHORIZED', status: 401, issues: [], waits: false },
    { code: 'TOO_MANY_REQUESTS', status: 429, issues: [], waits: true },
    { code: 'ABORTED', status: null, issues: [], waits: false },
  ]);
});

test('a page of an origin that is not allowed gets UNREACHABLE and no session, nor the use of one', async (context) => {
  await using browser = await openBrowser(context);
  await using stranger = await openApplication(library);
  await using application = await openApplication(library);
  await using server = await openServer({ ALLOWED_ORIGINS: application.origin });
  const page = await openPage(await browser.newContext(), stranger.origin);
  expect(await outcomes(page, server.url)).toEqual(['UNREACHABLE', 'UNREACHABLE', 'UNREACHABLE']);

  // Not even beside a page that may: the browser would send the cookie along.
  const own = await openPage(page.context(), application.origin);
  expect(await isSignedIn(own, server.url)).toBe(false);
  await signIn(own, server.url);
  expect(await outcomes(page, server.url)).toEqual(['UNREACHABLE', 'UNREACHABLE', 'UNREACHABLE']);
  expect(await isSignedIn(own, server.url)).toBe(true);
});

test('a token works from an allowed origin, without a cookie', async (context) => {
  await using browser = await openBrowser(context);
  await using application = await openApplication(library);
  await using server = await openServer({ ALLOWED_ORIGINS: application.origin });
  const page = await openPage(await browser.newContext(), application.origin);
  const answer = await page.evaluate(async (url) => {
    const bc = backchannel.createBackchannelClient({ url });
    await bc.auth.login.mutate({ password: 'admin123' });
    const { secret } = await bc.auth.tokens.create.mutate({ name: 'page', scope: 'read' });
    const { method, token } = await backchannel.createBackchannelClient({ url, token: secret }).auth.me.query();
    return { method, name: token?.name };
  }, server.url);
  expect(answer).toEqual({ method: 'token', name: 'page' });
});
