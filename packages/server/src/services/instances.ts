// The servers that share a database: which of them are alive, and whether they agree on keys and password. A SQLite file
// belongs to one machine, whose processes share the configuration, so there nothing is written and nobody is refused.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { DAY_MS } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { InstanceEntity, type InstanceRow, SigningKeyEntity } from '../store/entities.ts';
import { databaseTimeWithin, writeHeartbeatWithin } from '../store/statements/instances.ts';
import { escapeControlCharacters } from '../text.ts';
import { SecretKeyError } from './key-file.ts';
import { FOREIGN_RING, isForeignRing } from './keys.ts';

/** How often an instance writes its heartbeat, in milliseconds. */
export const HEARTBEAT_MS = 2000;
/** An instance without a heartbeat for this long is gone, in milliseconds. */
const ALIVE_MS = 3 * HEARTBEAT_MS;
/** Stands for the password of instances that use the one in the database. */
const FROM_DATABASE = 'database';

/** A live instance has another password. The message is one sentence that says what to do. */
export class PasswordConflictError extends Error {
  override readonly name = 'PasswordConflictError';
}

export interface Instances {
  /** Refuses a key ring that shares no key with the one last used on this database. @throws SecretKeyError */
  agreeOnKeys(ids: readonly string[]): Promise<void>;
  /**
   * Counts as alive from the commit on. `fingerprint` is that of the environment's password, or null if the one in the
   * database is in effect. Returns the live instances with another password. If there are any, this one has not joined, and
   * the caller must write nothing.
   */
  joinWithin(em: EntityManager, fingerprint: string | null): Promise<InstanceRow[]>;
  /** Waits until these are gone. @throws PasswordConflictError as soon as one of them writes a heartbeat */
  waitUntilGone(others: readonly InstanceRow[]): Promise<void>;
  /** Whether this is the first: the one that has been alive for longest. It runs what only one instance should run. */
  isFirst(): Promise<boolean>;
  /** Writes that this instance is alive, if it has joined. */
  beat(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function createInstances(options: {
  store: Store;
  config: Pick<Config, 'password'>;
  onError: (error: unknown) => void;
}): Instances {
  return options.store.engine === 'sqlite' ? alone : createShared(options);
}

const alone: Instances = {
  agreeOnKeys: async () => {},
  joinWithin: async () => [],
  waitUntilGone: async () => {},
  isFirst: async () => true,
  beat: async () => {},
  [Symbol.asyncDispose]: async () => {},
};

function createShared({ store, config, onError }: Parameters<typeof createInstances>[0]): Instances {
  const id = randomBytes(12).toString('hex');
  const host = escapeControlCharacters(hostname()).slice(0, 255);
  let joined: Pick<InstanceRow, 'password' | 'joinedAt'> | null = null;

  const alive = (now: number) => ({ seenAt: { $gt: now - ALIVE_MS } });

  return {
    agreeOnKeys: (ids) =>
      store.write(async (em) => {
        const known = (await em.find(SigningKeyEntity, {})).map((key) => key.id);
        if (isForeignRing(ids, known)) throw new SecretKeyError(`SECRET_KEY: ${FOREIGN_RING}`);
        if (known.length === ids.length && known.every((each) => ids.includes(each))) return;
        await em.nativeDelete(SigningKeyEntity, {});
        await em.insertMany(
          SigningKeyEntity,
          ids.map((each) => ({ id: each })),
        );
      }),
    joinWithin: async (em, fingerprint) => {
      const password = fingerprint ?? FROM_DATABASE;
      const now = await databaseTimeWithin(em);
      const others = await em.find(InstanceEntity, { ...alive(now), id: { $ne: id }, password: { $ne: password } });
      if (others.length > 0) {
        // An earlier run of this transaction, which was rolled back, may have joined.
        joined = null;
        return others;
      }
      joined = { password, joinedAt: joined?.joinedAt ?? now };
      await em.nativeDelete(InstanceEntity, { seenAt: { $lt: now - DAY_MS } });
      await writeHeartbeatWithin(em, { id, host, ...joined, seenAt: now });
      return [];
    },
    waitUntilGone: async (others) => {
      for (;;) {
        await sleep(HEARTBEAT_MS / 8);
        const { rows, now } = await store.read(async (em) => ({
          rows: await em.find(InstanceEntity, { id: { $in: others.map((other) => other.id) } }),
          now: await databaseTimeWithin(em),
        }));
        const seenBefore = (row: InstanceRow) => others.find((other) => other.id === row.id)?.seenAt ?? 0;
        const rival = rows.find((row) => row.seenAt > seenBefore(row));
        if (rival) throw conflictWith(rival, config.password.from);
        if (rows.every((row) => row.seenAt <= now - ALIVE_MS)) return;
      }
    },
    isFirst: async () => {
      const [first] = await store.read(async (em) =>
        em.find(InstanceEntity, alive(await databaseTimeWithin(em)), {
          orderBy: { joinedAt: 'asc', id: 'asc' },
          limit: 1,
        }),
      );
      return first?.id === id;
    },
    beat: async () => {
      if (!joined) return;
      // It also restores a row that another instance has taken for dead.
      await store.write(async (em) => {
        if (joined) await writeHeartbeatWithin(em, { id, host, ...joined, seenAt: await databaseTimeWithin(em) });
      });
    },
    [Symbol.asyncDispose]: async () => {
      if (joined) await store.write((em) => em.nativeDelete(InstanceEntity, { id })).catch(onError);
    },
  };
}

function conflictWith({ host, password }: InstanceRow, from: Config['password']['from']): PasswordConflictError {
  const [variable, theirs] =
    from === 'database'
      ? ['MASTER_PASSWORD', 'has its password from its environment, and this one has none there']
      : [from, password === FROM_DATABASE ? 'has the password that is kept in the database' : 'has another password'];
  return new PasswordConflictError(
    `${variable}: the instance on ${host}, which is alive on this database, ${theirs}; ` +
      'give all instances the same, or stop the others first.',
  );
}
