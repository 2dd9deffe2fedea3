// ReDoc: the page to read the API on. Only its bundle is used; the two lines that start it are a file of ours, since the
// page's policy allows no script in the markup.
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
<noscript>This page needs JavaScript. What it shows is at <a href="./openapi.json">openapi.json</a>.</noscript>
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

/** @throws Error when the bundle is not what this code was written for. */
export function createRedoc(): [path: string, RequestHandler][] {
  // Looked at now, and let go again: it is a megabyte that few servers are ever asked for.
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

/** In bytes: as text it would be twice as big. */
const readBundle = (): Buffer => readFileSync(new URL(import.meta.resolve('#redoc')));

/**
 * The bundle without its one request to another host.
 * @throws Error when that is not there exactly once: the bundle has changed, and somebody has to look at it.
 */
export function withoutLogo(bundle: Buffer): Buffer {
  const places: number[] = [];
  for (let at = bundle.indexOf(LOGO_URL); at >= 0; at = bundle.indexOf(LOGO_URL, at + 1)) places.push(at);
  const [place] = places;
  if (place === undefined || places.length > 1) {
    throw new Error(`ReDoc's bundle names ${LOGO_URL} ${places.length} times, not once: look at what it loads`);
  }
  return Buffer.concat([bundle.subarray(0, place), Buffer.from('data:,'), bundle.subarray(place + LOGO_URL.length)]);
}
