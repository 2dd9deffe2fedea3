// API tokens whose secrets are known, for load that shows another one with each request.
import { createHash } from 'node:crypto';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** As long as BackChannel's own. */
export const secretOf = (index: number): string => `bct_${sha256(`bench ${index}`)}`;

/** What BackChannel's database holds of it. */
export const storedOf = (index: number): string => sha256(secretOf(index));
