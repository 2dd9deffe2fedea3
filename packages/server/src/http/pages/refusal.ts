// The page for whatever goes wrong elsewhere than in a form that can be shown again.
import type { ErrorCode, ErrorDescription } from '../../errors.ts';
import { type Html, html } from './html.ts';
import type { Page } from './layout.ts';
import { duration } from './time.ts';

const titles: Partial<Record<ErrorCode, string>> = {
  BAD_REQUEST: 'That could not be taken',
  UNAUTHORIZED: 'Sign in first',
  NOT_FOUND: 'There is nothing here',
  METHOD_NOT_SUPPORTED: 'That can’t be done here',
  PAYLOAD_TOO_LARGE: 'That is too much',
  UNSUPPORTED_MEDIA_TYPE: 'That is not a form',
  INTERNAL_SERVER_ERROR: 'That did not work',
  SERVICE_UNAVAILABLE: 'Not possible at the moment',
};

export function refusalPage(
  error: ErrorDescription,
  about: { banner: Html | null; requestId: string | undefined },
): Page {
  const { message, code, status, retryAfterSeconds, issues = [] } = error;
  const { banner, requestId } = about;
  const title = titles[code] ?? 'Refused';
  const wait = retryAfterSeconds === undefined ? null : html`<p>Try again in ${duration(retryAfterSeconds)}.</p>`;
  const details = issues.map(({ path, message }) => html`<li><code>${path}</code>: ${message}</li>`);
  // What broke is in the log, by this id.
  const trace = status === 500 && requestId ? html`<p>It happened in the request <code>${requestId}</code>.</p>` : null;
  return {
    title,
    banner,
    main: html`<h1>${title}</h1>
<p>${message}</p>${details.length > 0 ? html`<ul>${details}</ul>` : null}${wait}${trace}
<p>${code === 'NOT_FOUND' ? html`<a href="/">Where you are signed in</a>` : html`<a href="/login">Sign in</a>`}</p>`,
  };
}
