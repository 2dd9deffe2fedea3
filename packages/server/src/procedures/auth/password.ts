// A password as the API takes it, and the ways in which one can be refused.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { RetryLaterError } from '../../errors.ts';
import { PASSWORD_MAX_BYTES, passwordProblem } from '../../services/password/hashing.ts';
import type { Refusal } from '../../services/sign-in/attempts.ts';
import type { SignedOut } from '../../services/sign-in/sign-in.ts';

export const Password = z
  .string()
  .superRefine((password, context) => {
    const problem = passwordProblem(password);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  })
  .meta({
    description: 'At most 72 bytes in UTF-8, without NUL.',
    examples: ['admin123'],
    format: 'password',
    minLength: 1,
    maxLength: PASSWORD_MAX_BYTES,
  });

/**
 * Throws what a refused password is answered with. A wrong one is UNAUTHORIZED to whoever signs in, and FORBIDDEN to who
 * is signed in already: that session goes on.
 */
export function refusePassword(refusal: Refusal | SignedOut, options: { wrong: 'UNAUTHORIZED' | 'FORBIDDEN' }): never {
  if (refusal.outcome === 'signed-out') throw signedOut();
  if (refusal.outcome === 'wrong') throw new TRPCError({ code: options.wrong, message: 'Wrong password.' });
  const seconds = refusal.retryAfterSeconds;
  if (refusal.outcome === 'throttled') {
    const message = `Too many wrong passwords; try again in ${seconds} s.`;
    throw new RetryLaterError({ code: 'TOO_MANY_REQUESTS', message, seconds });
  }
  throw busy(seconds);
}

/** For whose session was ended while the request was under way. */
export const signedOut = () => new TRPCError({ code: 'UNAUTHORIZED', message: 'Sign in first.' });

export const busy = (seconds: number) =>
  new RetryLaterError({
    code: 'SERVICE_UNAVAILABLE',
    message: 'Too many passwords are being checked at once; try again shortly.',
    seconds,
  });
