// Inputs that several procedures share.
import { z } from 'zod';

/** For procedures without input. Procedures without an input schema would accept any input. */
export const NoInput = z.strictObject({}).optional();

const idPattern = /^[0-9a-f]{24}$/;

/** The public id of a session, a token or an event. */
export const Id = z.string().regex(idPattern);

/** Whether a text can be an id. In a path, any other text is 404 rather than 400: nothing has that id. */
export const isId = (text: string): boolean => idPattern.test(text);

/** An id in a path. It accepts any text; see `isId`. */
export const idInPath = (options: { of: string; example: string }) =>
  z.strictObject({
    id: z.string().meta({
      description: `The id of the ${options.of}.`,
      examples: [options.example],
      pattern: idPattern.source,
    }),
  });
