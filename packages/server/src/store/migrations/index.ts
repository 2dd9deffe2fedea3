// The migrations, in order. Never edit a migration after it has landed.
import { Migration0001Seed } from './0001-seed.ts';
import { Migration0002Operate } from './0002-operate.ts';
import { Migration0003Live } from './0003-live.ts';
import { Migration0004Instances } from './0004-instances.ts';

export const migrations = [
  { name: '0001-seed', class: Migration0001Seed },
  { name: '0002-operate', class: Migration0002Operate },
  { name: '0003-live', class: Migration0003Live },
  { name: '0004-instances', class: Migration0004Instances },
];

/** Compares the applied migrations with those in this code. */
export function compareMigrations(applied: string[]): { applied: string[]; pending: string[]; unknown: string[] } {
  const known = migrations.map(({ name }) => name);
  return {
    applied,
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}
