// The frame and the Content-Security-Policy that all pages share.
import { headTags, iconUrl } from '../head.ts';
import { type Html, html } from './html.ts';
import { script, scriptHash } from './script.ts';
import { style, styleHash } from './style.ts';

export interface Page {
  /** The title of the tab, before the product's name. */
  title: string;
  main: Html;
  /** Shown above the content. */
  banner?: Html | null;
  /** For lists, which need more width than forms. */
  isWide?: boolean;
  /** Where the page leads on its own, and after how many seconds, as in `0;url=https://example.com/`. */
  refresh?: string | null;
  /** The same for browsers without script. */
  refreshWithoutScript?: string | null;
  /** Whether the page has the script. */
  hasScript?: boolean;
}

const mark = html`<svg viewBox="0 0 32 32" aria-hidden="true"><rect class="tile" width="32" height="32" rx="7"/>
<circle class="hole" cx="16" cy="13" r="5"/><path class="hole" d="M14 15h4l2 10h-8z"/></svg>`;

const head: Html = {
  markup: `${headTags}\n  <link rel="icon" href="${iconUrl}">\n  <style>${style}</style>`,
};

const refreshTag = (content: string | null) =>
  content === null ? null : html`<meta http-equiv="refresh" content="${content}">`;

export function renderPage(page: Page): string {
  const { title, main, banner = null, isWide = false, hasScript = false } = page;
  const withoutScript = refreshTag(page.refreshWithoutScript ?? null);
  return html`<!DOCTYPE html>
<html lang="en">
<head>
  ${head}
  ${refreshTag(page.refresh ?? null)}${withoutScript && html`<noscript>${withoutScript}</noscript>`}
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
${hasScript ? script : null}
</body>
</html>
`.markup;
}

/**
 * Allows only the page's own style, icon and script, and forms to this server. Chrome also checks every redirect after a
 * form against form-action, so no form may be answered with a redirect to another origin.
 */
export function pageCsp({ hasScript = false }: Page): string {
  return (
    `default-src 'none'; ${hasScript ? `script-src ${scriptHash}; ` : ''}style-src ${styleHash}; img-src data:; ` +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
  );
}
