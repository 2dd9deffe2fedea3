// Builds dist/: JavaScript, and types that don't need the server. It reads the server's types and runs none of its code.
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyDist, tsc } from '../../compile.ts';

const here = import.meta.dirname;
const server = join(here, '../server/src');

/** Types that a client doesn't need, and the one shape that tsc leaves by name. A test compares it with the server's. */
const replacements: readonly [serverType: string, standalone: string][] = [
  ['import("./trpc.ts").Context', 'object'],
  ['import("./trpc.ts").Meta', 'object'],
  ['import("./errors.ts").Issue', '{ path: string; message: string }'],
];

/**
 * Makes the declaration of the server's router independent of the server.
 * @throws Error when the declaration still imports anything other than `@trpc/server`.
 */
export function standaloneRouter(declaration: string): string {
  const replaced = replacements.reduce(
    (text, [from, to]) => text.replace(new RegExp(`${RegExp.escape(from)}\\b`, 'g'), to),
    declaration,
  );
  const imported = [...replaced.matchAll(/(?:\bimport\s*\(\s*|\bfrom\s+|\bimport\s+)["']([^"']+)["']/g)];
  const foreign = new Set(imported.map(([, module = '']) => module).filter((module) => module !== '@trpc/server'));
  if (foreign.size > 0) {
    throw new Error(
      `The router's type needs ${[...foreign].join(', ')}, which a client does not have: ` +
        'return a plain schema from the procedure, or add a replacement in build.ts',
    );
  }
  // The package has no such value, so only its type may be imported.
  return replaced.replace('export declare const appRouter', 'declare const appRouter');
}

function build(): void {
  const dist = emptyDist(here);
  // The scratch folder is inside the package, because elsewhere tsc wouldn't find the types that the server imports.
  const scratch = mkdtempSync(join(dist, 'server-'));
  const project = join(scratch, 'tsconfig.json');
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    rootDir: server,
    outDir: scratch,
  };
  const extended = join(here, '../../tsconfig.base.json');
  writeFileSync(project, JSON.stringify({ extends: extended, compilerOptions, files: [join(server, 'router.ts')] }));
  tsc(project);
  const router = standaloneRouter(readFileSync(join(scratch, 'router.d.ts'), 'utf8'));
  rmSync(scratch, { recursive: true });

  writeFileSync(join(dist, 'server-router.d.ts'), router);
  tsc(join(here, 'tsconfig.build.json'));
  renameSync(join(dist, 'server-router.d.ts'), join(dist, 'router.d.ts'));
  rmSync(join(dist, 'router.js'));
}

if (import.meta.main) build();
