// An API token as the API shows it.
import { z } from 'zod';

export const Token = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    scope: z.enum(['read', 'full', 'proxy']),
    hosts: z.array(z.string()),
    prefix: z.string(),
    createdAt: z.iso.datetime(),
    lastUsedAt: z.iso.datetime().nullable(),
    lastUsedIp: z.string().nullable(),
    expiresAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Token' });
export type Token = z.infer<typeof Token>;
