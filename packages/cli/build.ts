// Makes dist/: the source as JavaScript. It is a program: nobody imports it, so it has no types.
import { join } from 'node:path';
import { emptyDist, tsc } from '../../compile.ts';

emptyDist(import.meta.dirname);
tsc(join(import.meta.dirname, 'tsconfig.build.json'));
