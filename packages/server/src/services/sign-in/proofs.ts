// What a caller presents to prove that they are the operator, and what suffices. It verifies nothing itself.

/** One proof. Every kind that is added here must be verified in attempts.ts. */
export type Proof = { readonly kind: 'password'; readonly password: string };

/**
 * Whether these proofs, once verified, open what they were presented for. It is the only place that decides this, for
 * sign-in, step-up and password change alike.
 */
export const suffice = (proofs: readonly Proof[]): boolean => proofs.some(({ kind }) => kind === 'password');
