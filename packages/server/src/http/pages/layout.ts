// What all pages have in common: the frame around their content, and the policy that they are sent with.
import { headTags, iconUrl } from '../head.ts';
import { type Html, html } from './html.ts';
import { style, styleHash } from './style.ts';

export interface Page {
  /** What the tab says, before the name of the server. */
  title: string;
  main: Html;
  /** Above the content, whatever that is. */
  banner?: Html | null;
  /** For content that is a list rather than a form. */
  isWide?: boolean;
}

const mark = html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect class="tile" width="32" height="32" rx="7"/>
<circle class="hole" cx="16" cy="13" r="5"/><path class="hole" d="M14 15h4l2 10h-8z"/></svg>`;

const head: Html = {
  markup: `${headTags}\n  <link rel="icon" href="${iconUrl}">\n  <style>${style}</style>`,
};

export function renderPage({ title, main, banner = null, isWide = false }: Page): string {
  return html`<!DOCTYPE html>
<html lang="en">
<head>
  ${head}
  <title>${title} · BackChannel</title>
</head>
<body>
<main${isWide ? html` class="wide"` : null}>
<p class="brand">${mark} BackChannel</p>
${banner}
<div class="sheet">
${main}
</div>
</main>
</body>
</html>
`.markup;
}

/**
 * Nothing loads or runs but the page's own style and icon. Chrome holds the whole way of a form against form-action, its
 * redirect included: an address that a sign-in goes on to has to be named beside this server.
 */
export function pageCsp(goesOnTo: URL | null): string {
  const targets = goesOnTo ? `'self' ${goesOnTo.origin}` : "'self'";
  return (
    `default-src 'none'; style-src ${styleHash}; img-src data:; ` +
    `base-uri 'none'; form-action ${targets}; frame-ancestors 'none'`
  );
}
