// Changing the master password: by the operator who is signed in, or from the machine itself.
import type { Store } from '../store/database.ts';
import { SessionEntity, type SessionRow } from '../store/entities.ts';
import type { Gate } from './access/gate.ts';
import type { Client } from './caller.ts';
import type { Device } from './devices.ts';
import type { Events } from './events.ts';
import type { Password } from './password/check.ts';
import { hashForms } from './password/hashing.ts';
import { isSetByEnvironment, passwordFingerprint } from './password/origin.ts';
import { isOpenWithin } from './sessions/rows.ts';
import type { Refusal, Sessions, SignedOut } from './sessions/sessions.ts';
import type { Tokens } from './tokens.ts';

export type PasswordChanged = { outcome: 'changed'; sessionsEnded: number; tokensRevoked: number };
/** The environment's password cannot be changed here; `env` is the line to put in its place. */
export type SetByEnvironment = { outcome: 'set-by-environment'; env: string };
export type PasswordChangeOutcome = PasswordChanged | SetByEnvironment | Refusal | SignedOut;

export interface PasswordChange {
  /** Checks the current password, then sets the new one. The caller's session goes on; all others end. */
  change(options: {
    current: string;
    next: string;
    revokeTokens: boolean;
    session: SessionRow;
    client: Client;
    device: Device | null;
  }): Promise<PasswordChangeOutcome>;
  /** Sets a new password without asking for the current one: for whoever has the machine. All sessions end. */
  set(options: { next: string; revokeTokens: boolean }): Promise<PasswordChangeOutcome>;
}

export function createPasswordChange(options: {
  store: Store;
  gate: Gate;
  password: Password;
  sessions: Sessions;
  tokens: Tokens;
  events: Events;
}): PasswordChange {
  const { store, gate, password, sessions, tokens, events } = options;

  const apply = async (options: {
    next: string;
    revokeTokens: boolean;
    /** Who asks, and the fingerprint of the password that was shown; null for whoever has the machine. */
    asked: { session: SessionRow; fingerprint: string } | null;
    client: Client | null;
  }): Promise<PasswordChangeOutcome> => {
    const { next, revokeTokens, asked, client } = options;
    const hash = await password.hash(next);
    if (hash === null) return { outcome: 'busy', retryAfterSeconds: 2 };
    if (isSetByEnvironment(password.origin())) return { outcome: 'set-by-environment', env: hashForms(hash).env };
    return gate.whileRevoking((revoke) =>
      store.write(async (em): Promise<PasswordChangeOutcome> => {
        if (asked) {
          // Both may have come to an end while the passwords were being hashed.
          if (!(await isOpenWithin(em, asked.session.id))) return { outcome: 'signed-out' };
          if ((await password.fingerprintWithin(em)) !== asked.fingerprint) return { outcome: 'wrong' };
        }
        await password.replace(em, hash);
        const ownId = asked?.session.id ?? null;
        const sessionsEnded = await sessions.endAllBut(em, ownId, { client, detail: 'password changed', revoke });
        if (ownId !== null) {
          await em.nativeUpdate(SessionEntity, { id: ownId }, { passwordFingerprint: passwordFingerprint(hash) });
        }
        const tokensRevoked = revokeTokens ? await tokens.revokeAllWithin(em, { client, revoke }) : 0;
        const detail = `${sessionsEnded} session(s) ended, ${tokensRevoked} token(s) revoked`;
        await events.record(em, { type: 'password.changed', client, sessionId: ownId, detail });
        return { outcome: 'changed', sessionsEnded, tokensRevoked };
      }),
    );
  };

  return {
    change: async ({ current, next, revokeTokens, session, client, device }) => {
      const check = await password.check(current, { purpose: 'step-up', client, device, sessionId: session.id });
      if (check.outcome !== 'right') return check;
      if (!(await check.settle(async () => true))) return { outcome: 'wrong' };
      return apply({ next, revokeTokens, asked: { session, fingerprint: check.fingerprint }, client });
    },
    set: ({ next, revokeTokens }) => apply({ next, revokeTokens, asked: null, client: null }),
  };
}
