// Signing in and stepping up: what a completed attempt opens. Changing the password ends the same way (see
// ../password-change.ts).
import type { SessionRow } from '../../store/entities.ts';
import type { Caller } from '../caller.ts';
import type { Device } from '../devices.ts';
import type { SeenSession } from '../sessions/rows.ts';
import type { RenewedCookies, Sessions } from '../sessions/sessions.ts';
import type { Attempts, Refusal } from './attempts.ts';
import type { Proof } from './proofs.ts';

/** The session that asked has ended while its proofs were verified. */
export type SignedOut = { outcome: 'signed-out' };
type SignedIn = { outcome: 'signed-in'; seen: SeenSession; device: Device } & RenewedCookies;
type SteppedUp = { outcome: 'stepped-up' } & RenewedCookies;

export interface SignIn {
  /** Opens a session. `replaced` is the one that the browser had before, which ends. */
  signIn(options: {
    proofs: readonly Proof[];
    remember: boolean;
    caller: Caller;
    device: Device | null;
    replaced: SessionRow | null;
  }): Promise<SignedIn | Refusal>;
  /** The session counts as freshly signed in afterwards, with new cookies. Those that it had end. */
  stepUp(options: {
    proofs: readonly Proof[];
    session: SessionRow;
    caller: Caller;
    device: Device | null;
  }): Promise<SteppedUp | Refusal | SignedOut>;
}

export function createSignIn({ attempts, sessions }: { attempts: Attempts; sessions: Sessions }): SignIn {
  return {
    signIn: async ({ proofs, remember, caller, device, replaced }) => {
      const attempt = await attempts.prove({ purpose: 'login', caller, device, sessionId: null }, proofs);
      if (attempt.outcome !== 'proven') return attempt;
      const passwordFingerprint = attempt.fingerprint;
      const opened = await attempt.complete((em, revoke) =>
        sessions.openWithin(em, { passwordFingerprint, remember, caller, device, replaced, revoke }),
      );
      if (opened === null) return { outcome: 'wrong' };
      const { session, device: known } = opened;
      return {
        outcome: 'signed-in',
        seen: sessions.seen(session),
        device: known,
        ...(await sessions.signCookies(opened)),
      };
    },
    stepUp: async ({ proofs, session, caller, device }) => {
      const attempt = await attempts.prove({ purpose: 'step-up', caller, device, sessionId: session.id }, proofs);
      if (attempt.outcome !== 'proven') return attempt;
      const completed = await attempt.complete(async (em, revoke) => ({
        renewed: await sessions.stepUpWithin(em, session, revoke),
      }));
      if (completed === null) return { outcome: 'wrong' };
      if (completed.renewed === null) return { outcome: 'signed-out' };
      return { outcome: 'stepped-up', ...(await sessions.signCookies(completed.renewed)) };
    },
  };
}
