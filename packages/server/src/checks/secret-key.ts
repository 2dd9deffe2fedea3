// Which key signs sessions, and whether the key file can be used. It creates no key.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadSecretKey, SecretKeyError } from '../services/key-file.ts';
import { createKeyRing, FOREIGN_RING, isForeignRing } from '../services/keys.ts';
import { type Finding, faultOf, ok } from './finding.ts';

/** `signingKeys` are the ids of the keys last used with the database. The configuration must share one of them. */
export function checkSecretKey({ secretKeys, dataDir }: Config, signingKeys: readonly string[] = []): Finding[] {
  const about = 'SECRET_KEY';
  const file = join(dataDir, 'secret.key');
  const isKept = existsSync(file);
  if (secretKeys !== null) {
    const { ids } = createKeyRing(secretKeys, Date.now);
    if (isForeignRing(ids, signingKeys)) return [{ level: 'fault', about, text: FOREIGN_RING }];
    const ring = secretKeys.length === 1 ? 'is set' : `is a ring of ${secretKeys.length}: the first signs, all verify`;
    return [ok(about, isKept ? `${ring}; ${file} is not used` : ring)];
  }
  if (!isKept) return [ok(about, `the first start creates one and keeps it in ${file}`)];
  try {
    // The file exists, so this only reads.
    loadSecretKey(dataDir);
  } catch (error) {
    if (error instanceof SecretKeyError) return [faultOf(error)];
    throw error;
  }
  return [ok(about, `the one in ${file} is in effect`)];
}
