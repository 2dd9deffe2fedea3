// Passwords: their input schema, the errors of a failed attempt, hashing, and changing the master password.
import { TRPCError } from '@trpc/server';
import { z } from 'zod';
import { RetryLaterError } from '../../errors.ts';
import { messages } from '../../messages.ts';
import { hashForms } from '../../services/password/hashing.ts';
import {
  NEW_PASSWORD_MIN_CHARACTERS,
  newPasswordProblem,
  PASSWORD_MAX_BYTES,
  passwordProblem,
  passwordWarnings,
} from '../../services/password/rules.ts';
import type { Refusal } from '../../services/sign-in/attempts.ts';
import type { Proof } from '../../services/sign-in/proofs.ts';
import type { SignedOut } from '../../services/sign-in/sign-in.ts';
import { operatorProcedure, sessionProcedure } from '../../trpc.ts';

/** For readers of the document: the same rule is in `passwordProblem`. */
const NO_NUL = '^[^\\u0000]*$';

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
    pattern: NO_NUL,
  });

const NewPassword = z
  .string()
  .superRefine((password, context) => {
    const problem = newPasswordProblem(password);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  })
  .meta({
    description:
      `At least ${NEW_PASSWORD_MIN_CHARACTERS} characters, at most 72 bytes in UTF-8, without NUL. Not the built-in password, ` +
      'and none of the most common ones.',
    examples: ['correct horse battery staple'],
    format: 'password',
    minLength: NEW_PASSWORD_MIN_CHARACTERS,
    maxLength: PASSWORD_MAX_BYTES,
    pattern: NO_NUL,
  });

/**
 * Throws the error for a failed attempt. A wrong password is UNAUTHORIZED at sign-in. In a session it is FORBIDDEN, and the
 * session stays valid.
 */
export function refuseProofs(refusal: Refusal | SignedOut, options: { wrong: 'UNAUTHORIZED' | 'FORBIDDEN' }): never {
  if (refusal.outcome === 'signed-out') throw signedOut();
  if (refusal.outcome === 'wrong') throw new TRPCError({ code: options.wrong, message: messages.wrongPassword });
  const seconds = refusal.retryAfterSeconds;
  if (refusal.outcome === 'throttled') {
    throw new RetryLaterError({ code: 'TOO_MANY_REQUESTS', message: messages.throttled(seconds), seconds });
  }
  throw busy(seconds);
}

/** For a session that ended while its request was running. */
export const signedOut = () => new TRPCError({ code: 'UNAUTHORIZED', message: messages.signInFirst });

const busy = (seconds: number) =>
  new RetryLaterError({
    code: 'SERVICE_UNAVAILABLE',
    message: messages.busy,
    seconds,
  });

/** The hash of admin123, for the examples. */
const example = hashForms('$2b$12$tYAsGYctHOZaAP5g9oiySeKFTAZGkfQ8GVaPzIqWjSG/UOKGB52Jq');

export const hashPassword = operatorProcedure
  .meta({
    openapi: {
      method: 'POST',
      path: '/auth/hash-password',
      tags: ['auth'],
      summary: 'Hash a password',
      description:
        'Returns the bcrypt hash of a password in the forms that MASTER_PASSWORD_HASH accepts. Nothing is stored.',
      successDescription: 'The hash, its base64 form without `$`, the whole `.env` line, and warnings.',
    },
    errors: ['SERVICE_UNAVAILABLE'],
  })
  .input(z.strictObject({ password: Password }))
  .output(
    z.strictObject({
      hash: z.string().meta({ description: 'The bcrypt hash.', examples: [example.hash] }),
      base64: z.string().meta({ description: 'The hash in base64.', examples: [example.base64] }),
      env: z.string().meta({ description: 'The whole `.env` line, quoted.', examples: [example.env] }),
      warnings: z.array(z.string()).meta({ examples: [['admin123 is the built-in password, which everyone knows.']] }),
    }),
  )
  .mutation(async ({ ctx, input }) => {
    const hash = await ctx.services.password.hash(input.password);
    if (hash === null) throw busy(2);
    return { ...hashForms(hash), warnings: passwordWarnings(input.password) };
  });

export const changePassword = sessionProcedure
  .meta({
    openapi: {
      method: 'POST',
      path: '/auth/password',
      tags: ['auth'],
      summary: 'Change the master password',
      description:
        "Ends every session except the caller's, which gets a new secret: the response sets its cookies again, and copies " +
        'of the old ones end. API tokens stay valid unless `revokeTokens` is true. If the environment sets the password, ' +
        'nothing changes, and the error has the line to put there.',
      successDescription: "The new password is in effect. The response sets the session's cookie again.",
    },
    cookie: 'renews',
    errors: ['FORBIDDEN', 'CONFLICT', 'TOO_MANY_REQUESTS', 'SERVICE_UNAVAILABLE'],
  })
  .input(
    z.strictObject({
      current: Password,
      new: NewPassword,
      revokeTokens: z
        .boolean()
        .optional()
        .meta({ description: 'Whether to revoke all API tokens, too.', examples: [false] }),
    }),
  )
  .output(
    z.strictObject({
      message: z.string().meta({ examples: ['The password is changed.'] }),
      sessionsEnded: z
        .int()
        .nonnegative()
        .meta({ examples: [2] }),
      tokensRevoked: z
        .int()
        .nonnegative()
        .meta({ examples: [0] }),
    }),
  )
  .mutation(async ({ ctx, input }) => {
    const { current, new: next, revokeTokens = false } = input;
    const { services, caller, principal } = ctx;
    const { session } = principal;
    const device = await ctx.device();
    const proofs: Proof[] = [{ kind: 'password', password: current }];
    const change = await services.passwordChange.change({ proofs, next, revokeTokens, session, caller, device });
    if (change.outcome === 'set-by-environment') {
      throw new TRPCError({ code: 'CONFLICT', message: messages.setByEnvironment(change.env) });
    }
    if (change.outcome !== 'changed') return refuseProofs(change, { wrong: 'FORBIDDEN' });
    ctx.setSessionCookies(change.cookies, change.absoluteEndAt);
    const { sessionsEnded, tokensRevoked } = change;
    return { message: 'The password is changed.', sessionsEnded, tokensRevoked };
  });
