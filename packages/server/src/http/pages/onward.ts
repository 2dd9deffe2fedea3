// The page between a form and an address that may be, or may redirect to, another origin. Chrome applies form-action to the
// whole chain of redirects after a form, and the application decides where that ends. A page of ours ends the chain.
import { DOCUMENT_PATH, HOME_PATH, REDOC_PATH, SWAGGER_UI_PATH } from '../paths.ts';
import { html } from './html.ts';
import type { Page } from './layout.ts';

/** A longer response header might not fit the buffer of a proxy in front: nginx has 4 KiB for all of them. */
const MAX_HEADER_ADDRESS_BYTES = 2000;

/** Fragments are for the page that they lead to, which is not here. Longer ones are dropped. */
const MAX_FRAGMENT_LENGTH = 8192;

const ownPages = new Set<string>([HOME_PATH, SWAGGER_UI_PATH, REDOC_PATH, DOCUMENT_PATH]);

/** The path of a page of this server that redirects to no other origin; else null. */
export function ownPage(url: URL, publicUrl: string): string | null {
  return url.origin === publicUrl && ownPages.has(url.pathname) ? url.pathname + url.search + url.hash : null;
}

/** The same address with another fragment, which can change nothing else about it. */
export function withFragment(url: URL, fragment: string): URL {
  const hash = fragment.length <= MAX_FRAGMENT_LENGTH ? fragment.replace(/^#/, '') : '';
  if (hash === '') return url;
  const copy = new URL(url);
  copy.hash = hash;
  return copy;
}

/** Continues at once, without script, and has a link for browsers that don't. */
export function onwardPage({ href, host }: URL): { page: Page; refresh: string | null } {
  const refresh = `0;url=${href}`;
  const fitsHeader = href.length <= MAX_HEADER_ADDRESS_BYTES;
  return {
    page: {
      title: 'You are signed in',
      refresh: fitsHeader ? null : refresh,
      main: html`<h1>You are signed in</h1>
<div class="stack"><a class="button main" href="${href}">Continue to ${host}</a></div>`,
    },
    refresh: fitsHeader ? refresh : null,
  };
}
