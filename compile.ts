// Makes the dist/ of a package that npm is to get. In the workspace nothing is built: the source runs as it is.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Empties `dist` in a package's folder, so that no file of an older build is packed. Returns its path. */
export function emptyDist(packageDir: string): string {
  const dist = join(packageDir, 'dist');
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  return dist;
}

/** Runs TypeScript's compiler, which writes to the terminal. @throws Error when it finds anything wrong. */
export function tsc(project: string): void {
  const command = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc');
  const { status } = spawnSync(process.execPath, [command, '--project', project], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`tsc --project ${project} failed`);
}
