// The caller's session or token, as the API shows it.
import { z } from 'zod';
import type { Principal } from '../../services/access/principal.ts';
import type { Services } from '../../services/services.ts';
import { toSession, toToken } from '../../services/views.ts';
import { Session } from './sessions.ts';
import { Token } from './tokens.ts';

/** The output fields that describe the caller. */
export const callerFields = {
  method: z.enum(['session', 'token']).meta({ description: 'How the caller is authenticated.' }),
  session: Session.nullable(),
  token: Token.nullable().meta({ examples: [null] }),
};

export function toCaller(principal: Principal, services: Services) {
  if (principal.kind === 'token') {
    return { method: 'token' as const, session: null, token: toToken(services.tokens.seen(principal.token)) };
  }
  const seen = services.sessions.seen(principal.session);
  return { method: 'session' as const, session: toSession(seen, { current: true }), token: null };
}

/** When the caller's session or token began and ends, in milliseconds since 1970; null: never. */
export function spanOf(principal: Principal, services: Services): { since: number; until: number | null } {
  if (principal.kind === 'token') return { since: principal.token.createdAt, until: principal.token.expiresAt };
  const { session, ends } = services.sessions.seen(principal.session);
  return { since: session.createdAt, until: ends.expiresAt };
}
