// The script of the pages, which work without it. It is inline, and the Content-Security-Policy allows it by its hash.
import { createHash } from 'node:crypto';
import type { Html } from './html.ts';

/** The id of the hidden field that carries the fragment of the address through the form. */
export const FRAGMENT_FIELD = 'fragment';

/** Marks links whose address gets the fragment of the page's own address. */
const KEEPS_FRAGMENT = 'data-keeps-fragment';
export const keepsFragment: Html = { markup: KEEPS_FRAGMENT };

/**
 * Browsers keep the fragment of an address to themselves, and a form loses it. The script hands it over separately, so it
 * can't change where the server leads.
 */
const source = `
const { hash } = location;
if (hash) {
  const field = document.getElementById('${FRAGMENT_FIELD}');
  if (field) field.value = hash;
  for (const link of document.querySelectorAll('a[${KEEPS_FRAGMENT}]')) link.hash = hash;
}
`;

export const script: Html = { markup: `<script>${source}</script>` };

/** The hash for the Content-Security-Policy (CSP 3, 8.4). */
export const scriptHash = `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
