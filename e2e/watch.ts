// Owns what no page here may do in a browser, whatever it is for.
import type { Page } from 'playwright-core';

/** Collects what a page must not do: errors, what its CSP blocked, requests that failed or that go to another host. */
export function watch(page: Page, origin: string): string[] {
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content Security Policy|Permissions-Policy/i.test(message.text())) {
      problems.push(`console: ${message.text()}`);
    }
  });
  // The context sees the requests of workers and frames too.
  page.context().on('request', (request) => {
    const url = new URL(request.url());
    const isLocal = url.origin === origin || url.protocol === 'data:' || url.origin === `blob:${origin}`;
    if (!isLocal && !url.href.startsWith(`blob:${origin}/`)) problems.push(`asked another host: ${url.href}`);
  });
  page.context().on('requestfailed', (request) => {
    problems.push(`failed: ${request.url()} (${request.failure()?.errorText})`);
  });
  return problems;
}
