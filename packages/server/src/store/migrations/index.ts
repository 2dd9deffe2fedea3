// The migrations, in order. Never edit a migration after it has landed.
import { seed } from './0001-seed.ts';
import { operate } from './0002-operate.ts';
import { live } from './0003-live.ts';
import { instances } from './0004-instances.ts';
import { prefix } from './0005-prefix.ts';
import type { StoreMigration } from './migration.ts';

export const migrations: readonly StoreMigration[] = [seed, operate, live, instances, prefix];

/** Compares the applied migrations with those in this code. */
export function compareMigrations(applied: string[]): { applied: string[]; pending: string[]; unknown: string[] } {
  const known = migrations.map(({ name }) => name);
  return {
    applied,
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}
