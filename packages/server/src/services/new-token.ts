// The input for a new API token. The API and the command line share it.
import { z } from 'zod';
import { tokenScopes } from './access/policy.ts';

const name = z
  .string()
  .regex(/^[^\p{Cc}]{1,64}$/u, 'A name has 1 to 64 characters, none of them a control character.')
  .meta({
    description: 'What the operator calls it.',
    examples: ['backup script'],
    // The same rule for readers of the document, some of which do not know Unicode classes.
    minLength: 1,
    maxLength: 64,
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$',
  });
const host = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/, {
    error: 'A host is a name or an IPv4 address in lower case, without scheme and port.',
  })
  .meta({
    examples: ['photos.example.com'],
    maxLength: 253,
    // Without the lookahead, which the regular expressions of Go and Rust don't have.
    pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$',
  });

export const NewToken = z
  .strictObject({
    name,
    scope: z.enum(tokenScopes).meta({ description: 'What it opens.', examples: ['read'] }),
    hosts: z
      .array(host)
      .max(100)
      .optional()
      .meta({
        description: 'Only with scope `proxy`: the hosts that it opens. Empty or left out: all.',
        examples: [[]],
      }),
    expiresInDays: z
      .int()
      .min(1)
      .max(3650)
      .optional()
      .meta({ description: 'Days until it ends; absent: never.', examples: [90] }),
  })
  .refine(({ scope, hosts = [] }) => scope === 'proxy' || hosts.length === 0, {
    path: ['hosts'],
    error: 'Only a proxy token has hosts.',
  });
export type NewToken = z.infer<typeof NewToken>;
