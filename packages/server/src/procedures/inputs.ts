// Inputs that several procedures share.
import { z } from 'zod';

/** For procedures without input. Without it, they would accept any. */
export const NoInput = z.strictObject({}).optional();

const idPattern = /^[0-9a-f]{24}$/;

/** The public id of a session, a token or an event. */
export const Id = z.string().regex(idPattern);

/** Whether a text can be an id. In a path, what cannot be one names nothing, so the answer is 404 and not 400. */
export const isId = (text: string): boolean => idPattern.test(text);

/** An id in a path, which may be any text; see `isId`. */
export const idInPath = (options: { of: string; example: string }) =>
  z.strictObject({
    id: z.string().meta({
      description: `Of the ${options.of}.`,
      examples: [options.example],
      pattern: idPattern.source,
    }),
  });
