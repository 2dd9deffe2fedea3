// The frame and the Content-Security-Policy that all pages share.
import { headTags, iconUrl } from '../head.ts';
import { type Html, html } from './html.ts';
import { style, styleHash } from './style.ts';

export interface Page {
  /** The title of the tab, before the product's name. */
  title: string;
  main: Html;
  /** Shown above the content. */
  banner?: Html | null;
  /** For lists, which need more width than forms. */
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
 * Allows only the page's own style and icon. Chrome also checks the redirect after a form against form-action, so the return
 * address of a sign-in must be listed.
 */
export function pageCsp(goesOnTo: URL | null): string {
  const targets = goesOnTo ? `'self' ${goesOnTo.origin}` : "'self'";
  return (
    `default-src 'none'; style-src ${styleHash}; img-src data:; ` +
    `base-uri 'none'; form-action ${targets}; frame-ancestors 'none'`
  );
}
