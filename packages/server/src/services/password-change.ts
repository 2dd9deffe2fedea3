// Changing the master password: by the operator who is signed in, or from the machine itself.
import type { EntityManager } from '../store/database.ts';
import type { SessionRow } from '../store/entities.ts';
import type { Gate, Revoke } from './access/gate.ts';
import type { Caller } from './caller.ts';
import type { Device } from './devices.ts';
import type { Events } from './events.ts';
import { isSetByEnvironment, passwordFingerprint } from './password/effective.ts';
import { hashForms } from './password/hashing.ts';
import type { Password } from './password/password.ts';
import type { RenewedCookies, Sessions } from './sessions/sessions.ts';
import type { Attempts, Busy, Refusal } from './sign-in/attempts.ts';
import type { Proof } from './sign-in/proofs.ts';
import type { SignedOut } from './sign-in/sign-in.ts';
import type { Tokens } from './tokens.ts';

type PasswordChanged = { outcome: 'changed'; sessionsEnded: number; tokensRevoked: number };
/** The caller's session goes on with these cookies. */
type OwnPasswordChanged = PasswordChanged & RenewedCookies;
/** The environment sets the password, so it cannot be changed here. `env` is the line to put there instead. */
type SetByEnvironment = { outcome: 'set-by-environment'; env: string };

export interface PasswordChange {
  /** Verifies the proofs, then sets the new password. The caller's session goes on with a new secret; all others end. */
  change(options: {
    proofs: readonly Proof[];
    next: string;
    revokeTokens: boolean;
    session: SessionRow;
    caller: Caller;
    device: Device | null;
  }): Promise<OwnPasswordChanged | SetByEnvironment | Refusal | SignedOut>;
  /** Sets a new password without asking for the current one: for whoever has the machine. All sessions end. */
  set(options: { next: string; revokeTokens: boolean }): Promise<PasswordChanged | SetByEnvironment | Busy>;
}

const BUSY: Busy = { outcome: 'busy', retryAfterSeconds: 2 };

export function createPasswordChange(options: {
  gate: Gate;
  attempts: Attempts;
  password: Password;
  sessions: Sessions;
  tokens: Tokens;
  events: Events;
}): PasswordChange {
  const { gate, attempts, password, sessions, tokens, events } = options;

  /** The new hash, or why it will not be set. */
  const prepare = async (next: string): Promise<string | Busy | SetByEnvironment> => {
    const hash = await password.hash(next);
    if (hash === null) return BUSY;
    return isSetByEnvironment(password.origin()) ? { outcome: 'set-by-environment', env: hashForms(hash).env } : hash;
  };

  /** Replaces the hash and ends every session but one, if any. */
  const applyWithin = async (
    em: EntityManager,
    change: { hash: string; revokeTokens: boolean; keptId: string | null; caller: Caller | null; revoke: Revoke },
  ): Promise<PasswordChanged> => {
    const { hash, revokeTokens, keptId, caller, revoke } = change;
    await password.replaceWithin(em, hash);
    const ending = { caller, detail: 'password changed', revoke };
    const sessionsEnded = await sessions.endAllButWithin(em, keptId, ending);
    const tokensRevoked = revokeTokens ? await tokens.revokeAllWithin(em, { caller, revoke }) : 0;
    const detail = `${sessionsEnded} session(s) ended, ${tokensRevoked} token(s) revoked`;
    await events.recordWithin(em, { type: 'password.changed', caller, sessionId: keptId, detail });
    return { outcome: 'changed', sessionsEnded, tokensRevoked };
  };

  return {
    change: async ({ proofs, next, revokeTokens, session, caller, device }) => {
      const attempt = await attempts.prove({ purpose: 'step-up', caller, device, sessionId: session.id }, proofs);
      if (attempt.outcome !== 'proven') return attempt;
      const prepared = await prepare(next);
      const completed = await attempt.complete(async (em, revoke) => {
        // The proofs were right even if nothing changes, so the attempt is forgiven.
        if (typeof prepared !== 'string') return prepared;
        const renewed = await sessions.rebindWithin(em, session, {
          passwordFingerprint: passwordFingerprint(prepared),
          revoke,
        });
        // The session may have ended while the passwords were hashed.
        if (renewed === null) return { outcome: 'signed-out' as const };
        const change = { hash: prepared, revokeTokens, keptId: session.id, caller, revoke };
        return { ...(await applyWithin(em, change)), renewed };
      });
      if (completed?.outcome !== 'changed') return completed ?? { outcome: 'wrong' };
      const { renewed, ...changed } = completed;
      return { ...changed, ...(await sessions.signCookies(renewed)) };
    },
    set: async ({ next, revokeTokens }) => {
      const prepared = await prepare(next);
      if (typeof prepared !== 'string') return prepared;
      return gate.writeRevoking((em, revoke) =>
        applyWithin(em, { hash: prepared, revokeTokens, keptId: null, caller: null, revoke }),
      );
    },
  };
}
