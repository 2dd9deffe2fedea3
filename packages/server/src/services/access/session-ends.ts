// When a session expires.
import { DAY_MS, MINUTE_MS } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { SessionRow } from '../../store/entities.ts';

export type Lifetimes = Pick<Config, 'sessionExpireMinutes' | 'sessionMaxDays'>;

/** When a session expires, in milliseconds since 1970: if it is not used, at the latest, and the earlier of the two. */
export interface SessionEnds {
  idleEndAt: number;
  absoluteEndAt: number;
  expiresAt: number;
}

/**
 * Computed on request and never stored, so a changed configuration applies to existing sessions. A time in the future, from a
 * clock that was wrong, counts as now (milliseconds since 1970).
 */
export function sessionEnds(
  session: Pick<SessionRow, 'createdAt' | 'lastSeenAt' | 'remembered'>,
  { lifetimes, now }: { lifetimes: Lifetimes; now: number },
): SessionEnds {
  const maxMs = lifetimes.sessionMaxDays * DAY_MS;
  const idleMs = session.remembered ? maxMs : lifetimes.sessionExpireMinutes * MINUTE_MS;
  const idleEndAt = Math.min(session.lastSeenAt, now) + idleMs;
  const absoluteEndAt = Math.min(session.createdAt, now) + maxMs;
  return { idleEndAt, absoluteEndAt, expiresAt: Math.min(idleEndAt, absoluteEndAt) };
}
