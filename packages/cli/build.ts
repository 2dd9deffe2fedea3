// Builds dist/: the source as JavaScript. Nothing imports this program, so it has no types.
import { join } from 'node:path';
import { emptyDist, tsc } from '../../compile.ts';

emptyDist(import.meta.dirname);
tsc(join(import.meta.dirname, 'tsconfig.build.json'));
