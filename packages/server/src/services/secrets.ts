// What the database holds in place of a secret.
import { createHash } from 'node:crypto';

/** Secrets are random and long, so this needs neither salt nor slowness. */
export const sha256 = (secret: string): string => createHash('sha256').update(secret).digest('base64url');
