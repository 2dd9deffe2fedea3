// The migrations, in order. A migration that has landed is never edited.
import { Migration0001Seed } from './0001-seed.ts';

export const migrations = [{ name: '0001-seed', class: Migration0001Seed }];
