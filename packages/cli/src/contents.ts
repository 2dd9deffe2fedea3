// Describes the contents of a copy of the database in words.
import type { Contents } from '@backchannel/server/copy';
import { counted } from './counted.ts';

/** `2 sessions, 1 token, 40 events, schema 0002-operate`. */
export const contentsOf = ({ sessions, tokens, events, schema }: Contents): string =>
  `${counted(sessions, 'session')}, ${counted(tokens, 'token')}, ${counted(events, 'event')}, schema ${schema}`;
