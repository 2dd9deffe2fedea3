// The hashes of the master password. `environment` belongs to a plain MASTER_PASSWORD, `stored` was set or generated here.
import type { EntityManager } from '../engine.ts';
import { PasswordEntity } from '../entities.ts';
import { findOneBy } from '../prepared.ts';

export type KeptHash = 'environment' | 'stored';

export async function readHashWithin(em: EntityManager, origin: KeptHash): Promise<string | null> {
  return (await findOneBy(em, PasswordEntity, 'origin', origin))?.hash ?? null;
}

/** Writes a hash. `at` is in milliseconds since 1970. */
export const writeHashWithin = (em: EntityManager, origin: KeptHash, { hash, at }: { hash: string; at: number }) =>
  em.execute(
    `insert into backchannel_passwords (origin, hash, changed_at) values (?, ?, ?)
     on conflict (origin) do update set hash = excluded.hash, changed_at = excluded.changed_at`,
    [origin, hash, at],
    'run',
  );

/** Writes a hash if there is none. Returns the hash that is stored afterwards. */
export async function writeFirstHashWithin(
  em: EntityManager,
  origin: KeptHash,
  { hash, at }: { hash: string; at: number },
): Promise<string | null> {
  await em.execute(
    'insert into backchannel_passwords (origin, hash, changed_at) values (?, ?, ?) on conflict (origin) do nothing',
    [origin, hash, at],
    'run',
  );
  return readHashWithin(em, origin);
}
