// The page for whatever goes wrong elsewhere than in a form that can be shown again.
import { STATUS_CODES } from 'node:http';
import type { ErrorDescription } from '../../errors.ts';
import { html } from './html.ts';
import type { Page } from './layout.ts';
import { duration } from './time.ts';

export function refusalPage(error: ErrorDescription, banner: Page['banner'] = null): Page {
  const { message, status, retryAfterSeconds, issues = [] } = error;
  const title = STATUS_CODES[status] ?? 'Error';
  const wait = retryAfterSeconds === undefined ? null : html`<p>Try again in ${duration(retryAfterSeconds)}.</p>`;
  const details = issues.map(({ path, message }) => html`<li><code>${path}</code>: ${message}</li>`);
  return {
    title,
    banner,
    main: html`<h1>${title}</h1>
<p>${message}</p>${details.length > 0 ? html`<ul>${details}</ul>` : null}${wait}
<p><a href="/login">Sign in</a></p>`,
  };
}
