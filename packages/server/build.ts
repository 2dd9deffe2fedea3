// Makes dist/: the source as JavaScript with its types, the settings in words, and the one file of ReDoc's that is
// served, with its licenses.
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { emptyDist, tsc } from '../../compile.ts';

const here = import.meta.dirname;
const dist = emptyDist(here);
tsc(join(here, 'tsconfig.build.json'));
copyFileSync(join(here, '../../.env.example'), join(dist, 'env.example'));

const redoc = dirname(createRequire(import.meta.url).resolve('redoc/package.json'));
mkdirSync(join(dist, 'redoc'));
for (const file of ['redoc.standalone.js', 'redoc.standalone.js.LICENSE.txt']) {
  copyFileSync(join(redoc, 'bundles', file), join(dist, 'redoc', file));
}
// Under another name: pnpm looks for one LICENSE in a package, and would leave out our own.
copyFileSync(join(redoc, 'LICENSE'), join(dist, 'redoc/redoc.LICENSE.txt'));
