// ReDoc: the page for reading about the API. Only its bundle is used. The script that starts it is a separate file,
// because the page's policy allows no inline scripts.
import { readFileSync } from 'node:fs';
import type { RequestHandler } from 'express';
import { headTags, iconUrl } from '../head.ts';
import { REDOC_PATH } from '../paths.ts';
import { serveText } from './text.ts';

const LOGO_URL = 'https://cdn.redoc.ly/redoc/logo-mini.svg';

const html = `<!DOCTYPE html>
<html lang="en">
<head>
  ${headTags}
  <title>BackChannel API reference</title>
  <link rel="icon" href="${iconUrl}">
  <style>body { margin: 0 }</style>
</head>
<body>
<div id="redoc"></div>
<noscript>This page needs JavaScript. The same content is in <a href="./openapi.json">openapi.json</a>.</noscript>
<script src="./redoc/redoc.standalone.js"></script>
<script src="./redoc/start.js"></script>
</body>
</html>
`;

const options = {
  expandResponses: '200',
  theme: { colors: { primary: { main: '#1b3a4b' } } },
};
const start = `Redoc.init('openapi.json', ${JSON.stringify(options)}, document.getElementById('redoc'));\n`;

/** @throws Error when the bundle is not the one that this code expects. */
export function createRedoc(): [path: string, RequestHandler][] {
  // Checked at the start, but not kept: it is a megabyte that few servers ever serve.
  withoutLogo(readBundle());
  let serveBundle: RequestHandler | undefined;
  return [
    [REDOC_PATH, serveText('html', html)],
    [`${REDOC_PATH}/start.js`, serveText('js', start)],
    [
      `${REDOC_PATH}/redoc.standalone.js`,
      (req, res, next) => {
        serveBundle ??= serveText('js', withoutLogo(readBundle()));
        return serveBundle(req, res, next);
      },
    ],
  ];
}

/** Read as bytes, because as a string it would take twice the memory. */
const readBundle = (): Buffer => readFileSync(new URL(import.meta.resolve('#redoc')));

/**
 * Removes the bundle's only request to another host.
 * @throws Error when the URL does not appear exactly once: the bundle has changed and needs a review.
 */
export function withoutLogo(bundle: Buffer): Buffer {
  const places: number[] = [];
  for (let at = bundle.indexOf(LOGO_URL); at >= 0; at = bundle.indexOf(LOGO_URL, at + 1)) places.push(at);
  const [place] = places;
  if (place === undefined || places.length > 1) {
    throw new Error(`ReDoc's bundle has ${LOGO_URL} ${places.length} times instead of once: review what it loads`);
  }
  return Buffer.concat([bundle.subarray(0, place), Buffer.from('data:,'), bundle.subarray(place + LOGO_URL.length)]);
}
