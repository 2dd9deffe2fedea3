import type { StoreMigration } from './migration.ts';

/** An index that finds live sessions by their creation time quickly, however many have ended. */
export const live: StoreMigration = {
  name: '0003-live',
  up: ({ p }) => [`create index ${p}sessions_ended_at_created_at_index on ${p}sessions (ended_at, created_at)`],
  down: ({ p }) => [`drop index ${p}sessions_ended_at_created_at_index`],
};
