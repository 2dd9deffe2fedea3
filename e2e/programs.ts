// The programs in the documentation: each block of TypeScript is one.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** Those of a page of this repository, in their order, as they stand there. */
export function programsOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** Whether it is one for a browser's page. */
export const isForBrowser = (code: string): boolean => /\b(?:document|location)\./.test(code);
