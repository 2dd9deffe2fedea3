// Pages of other people's applications that call the API with the client: one script, bundled from its source.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** A program for a browser, with the client in it. */
export async function bundle(program: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: root, loader: 'ts' },
    alias: { '@backchannel/client-sdk': join(root, 'packages/client-sdk/src/index.ts') },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
  });
  return outputFiles[0]?.text ?? '';
}

export const html = (script: string): string =>
  `<!DOCTYPE html><meta charset="utf-8"><title>An application</title><link rel="icon" href="data:,">` +
  `<body>…</body><script type="module">${script}</script>`;

export interface Application extends AsyncDisposable {
  /** On another port of localhost than the server under test: another origin of the same site. */
  readonly origin: string;
}

/** Serves a page with this script at every path. */
export async function openApplication(script: () => Promise<string>): Promise<Application> {
  const server = createServer((_req, res) => {
    script().then((text) => res.setHeader('Content-Type', 'text/html').end(html(text)), res.destroy.bind(res));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
