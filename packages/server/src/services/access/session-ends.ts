// When a session ends by itself.
import { DAY_MS, MINUTE_MS } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { SessionRow } from '../../store/entities.ts';

export type Lifetimes = Pick<Config, 'sessionExpireMinutes' | 'sessionMaxDays'>;

/** When a session ends, in milliseconds since 1970: unused, at the latest, and whichever of the two comes first. */
export interface SessionEnds {
  idleEndAt: number;
  absoluteEndAt: number;
  expiresAt: number;
}

/** Computed when asked, never stored: a changed configuration holds for the sessions there are. */
export function sessionEnds(
  session: Pick<SessionRow, 'createdAt' | 'lastSeenAt' | 'remembered'>,
  lifetimes: Lifetimes,
): SessionEnds {
  const maxMs = lifetimes.sessionMaxDays * DAY_MS;
  const idleMs = session.remembered ? maxMs : lifetimes.sessionExpireMinutes * MINUTE_MS;
  const idleEndAt = session.lastSeenAt + idleMs;
  const absoluteEndAt = session.createdAt + maxMs;
  return { idleEndAt, absoluteEndAt, expiresAt: Math.min(idleEndAt, absoluteEndAt) };
}
