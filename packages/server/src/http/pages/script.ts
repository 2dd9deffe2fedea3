// The script of the pages, which work without it. It is inline, and the Content-Security-Policy allows it by its hash.
import { createHash } from 'node:crypto';
import type { Html } from './html.ts';

/** The id of the hidden field that carries the fragment of the address through the form. */
export const FRAGMENT_FIELD = 'fragment';

/** Marks links whose address gets the fragment of the page's own address. */
const KEEPS_FRAGMENT = 'data-keeps-fragment';
export const keepsFragment: Html = { markup: KEEPS_FRAGMENT };

/** The id of the words that count down, with the seconds in `data-seconds`. */
export const WAIT = 'wait';

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
const wait = document.getElementById('${WAIT}');
if (wait) {
  const end = performance.now() + wait.dataset.seconds * 1000;
  const tick = () => {
    const seconds = Math.ceil((end - performance.now()) / 1000);
    const [count, unit] = seconds <= 90 ? [seconds, 'second'] : [Math.ceil(seconds / 60), 'minute'];
    if (seconds > 0) setTimeout(tick, 1000);
    else wait.setAttribute('role', 'status');
    wait.textContent = seconds > 0
      ? 'Try again in ' + count + ' ' + unit + (count === 1 ? '.' : 's.')
      : 'You can try again now.';
  };
  tick();
}
`;

export const script: Html = { markup: `<script>${source}</script>` };

/** The hash for the Content-Security-Policy (CSP 3, 8.4). */
export const scriptHash = `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
