// The error page, for errors other than those that the sign-in form shows.
import type { ErrorCode, ErrorDescription } from '../../errors.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { waitFor } from './time.ts';

const titles: Partial<Record<ErrorCode, string>> = {
  BAD_REQUEST: 'Invalid request',
  UNAUTHORIZED: 'Sign in first',
  NOT_FOUND: 'Page not found',
  METHOD_NOT_SUPPORTED: 'Method not allowed',
  PAYLOAD_TOO_LARGE: 'Too much data',
  UNSUPPORTED_MEDIA_TYPE: 'Not a form',
  INTERNAL_SERVER_ERROR: 'Something went wrong',
  SERVICE_UNAVAILABLE: 'Temporarily unavailable',
};

export function refusalPage(
  error: ErrorDescription,
  about: { banner: Html | null; requestId: string | undefined },
): Page {
  const { message, code, status, retryAfterSeconds, issues = [] } = error;
  const { banner, requestId } = about;
  const title = titles[code] ?? 'Refused';
  const wait = retryAfterSeconds === undefined ? null : waitFor(retryAfterSeconds);
  const details = issues.map(({ path, message }) => html`<li><code>${path}</code>: ${message}</li>`);
  // The log has the error under this id.
  const trace = status === 500 && requestId ? html`<p>The request id is <code>${requestId}</code>.</p>` : null;
  return {
    title,
    banner,
    hasScript: wait !== null,
    main: html`<h1>${title}</h1>
<p>${message}</p>${details.length > 0 ? html`<ul>${details}</ul>` : null}${wait}${trace}
<p>${code === 'NOT_FOUND' ? html`<a href="/">Your sessions</a>` : html`<a href="/login">Sign in</a>`}</p>`,
  };
}
