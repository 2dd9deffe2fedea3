// A session as the API shows it.
import bowser from 'bowser';
import { z } from 'zod';
import { isoTime } from '../../clock.ts';
import type { SessionEnds } from '../../services/sessions.ts';
import type { SessionRow } from '../../store/entities.ts';

const sessionIdPattern = /^[0-9a-f]{24}$/;

export const Session = z
  .strictObject({
    id: z.string().regex(sessionIdPattern).meta({ description: 'Public; names the session, opens nothing.' }),
    current: z.boolean().meta({ description: "Whether it is the caller's own." }),
    remembered: z.boolean().meta({ description: 'Whether it was opened with `remember`.' }),
    createdAt: z.iso.datetime(),
    lastSeenAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().meta({ description: 'The earlier of its idle end and its absolute end.' }),
    ip: z.string().nullable(),
    userAgent: z.string().nullable(),
    device: z.string().nullable().meta({ description: 'Read from the User-Agent.', example: 'Firefox on Linux' }),
  })
  .meta({ id: 'Session' });
export type Session = z.infer<typeof Session>;

export function toSession(
  { session: row, ends }: { session: SessionRow; ends: SessionEnds },
  options: { current: boolean },
): Session {
  return {
    id: row.id,
    current: options.current,
    remembered: row.remembered,
    createdAt: isoTime(row.createdAt),
    lastSeenAt: isoTime(row.lastSeenAt),
    expiresAt: isoTime(ends.expiresAt),
    ip: row.ip,
    userAgent: row.userAgent,
    device: deviceName(row.userAgent),
  };
}

/** "Firefox on Linux", or a program's own name such as "curl", or null. */
function deviceName(userAgent: string | null): string | null {
  if (!userAgent) return null;
  const { browser, os } = bowser.parse(userAgent);
  if (browser.name && os.name) return `${browser.name} on ${os.name}`;
  return browser.name || /^[\w.-]+/.exec(userAgent)?.[0] || null;
}
