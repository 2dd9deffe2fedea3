// API tokens: created, shown once, stored as a SHA-256. This file knows no headers and no cookies.
import { randomBytes } from 'node:crypto';
import { type Clock, DAY_MS } from '../clock.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { type SessionRow, TokenEntity, type TokenRow } from '../store/entities.ts';
import type { Activity } from './access/activity.ts';
import type { Gate } from './access/gate.ts';
import type { TokenScope } from './access/policy.ts';
import type { Caller } from './caller.ts';
import type { Events } from './events.ts';
import { sha256 } from './secrets.ts';
import { type Ending, isOpenWithin } from './sessions/rows.ts';

/** Every token begins with this, so that secret scanners can find it. */
export const TOKEN_PREFIX = 'bct_';
/** Enough to recognise a token, far too little to guess the rest. */
const SHOWN_CHARACTERS = 6;
export interface Tokens {
  /** Creates a token with 256 random bits. Its secret is returned only here. Null if the session has ended meanwhile. */
  create(options: {
    name: string;
    scope: TokenScope;
    hosts: readonly string[];
    expiresInDays: number | null;
    caller: Caller | null;
    /** The session that creates it; null for the command line. */
    session: SessionRow | null;
  }): Promise<{ token: TokenRow; secret: string } | null>;
  /** Tokens that are neither revoked nor expired, newest first. */
  list(): Promise<TokenRow[]>;
  countLive(): Promise<number>;
  /** Revokes a token for good; false if there is no live one with this id. */
  revoke(id: string, caller: Caller | null): Promise<boolean>;
  /** Revokes all of them, with an event each. Returns how many. */
  revokeAllWithin(em: EntityManager, ending: Omit<Ending, 'detail'>): Promise<number>;
  /** A token with the use that only memory knows of yet. */
  seen(token: TokenRow): TokenRow;
  /** The current row, including what memory has gathered; null if it was deleted. */
  reload(token: TokenRow): Promise<TokenRow | null>;
  /** Deletes up to `limit` tokens that were revoked or have expired. Returns how many. */
  deleteEnded(limit: number): Promise<number>;
}

export function createTokens(options: {
  store: Store;
  gate: Gate;
  events: Events;
  activity: Activity;
  clock: Clock;
}): Tokens {
  const { store, gate, events, activity, clock } = options;
  const live = () => ({ endedAt: null, $or: [{ expiresAt: null }, { expiresAt: { $gt: clock() } }] });

  const describe = ({ scope, name }: TokenRow) => `${scope}: ${name}`;

  const endWithin = async (em: EntityManager, which: { id?: string }, { caller, revoke }: Omit<Ending, 'detail'>) => {
    const rows = await em.find(TokenEntity, { ...live(), ...which });
    const ids = rows.map((row) => row.id);
    revoke(ids);
    if (ids.length > 0) await em.nativeUpdate(TokenEntity, { id: { $in: ids } }, { endedAt: clock() });
    const ended = rows.map((row) => ({ tokenId: row.id, detail: describe(row) }));
    await events.recordWithin(em, ...ended.map((each) => ({ type: 'token.revoked' as const, caller, ...each })));
    return ids.length;
  };

  return {
    create: async ({ name, scope, hosts, expiresInDays, caller, session }) => {
      const secret = TOKEN_PREFIX + randomBytes(32).toString('base64url');
      const now = clock();
      const token: TokenRow = {
        id: randomBytes(12).toString('hex'),
        name,
        scope,
        hosts: JSON.stringify(hosts),
        prefix: secret.slice(0, TOKEN_PREFIX.length + SHOWN_CHARACTERS),
        secretSha256: sha256(secret),
        createdAt: now,
        expiresAt: expiresInDays === null ? null : now + expiresInDays * DAY_MS,
        lastUsedAt: null,
        lastUsedIp: null,
        requestCount: 0,
        endedAt: null,
      };
      return store.write(async (em) => {
        // A token outlives its session. A session that was just revoked, perhaps on another instance, must not create one.
        if (session !== null && !(await isOpenWithin(em, session))) return null;
        await em.insert(TokenEntity, token);
        const detail = describe(token);
        const sessionId = session?.id ?? null;
        await events.recordWithin(em, { type: 'token.created', caller, sessionId, tokenId: token.id, detail });
        return { token, secret };
      });
    },
    list: async () => {
      await activity.flush();
      return store.read((em) => em.find(TokenEntity, live(), { orderBy: { createdAt: 'desc', id: 'desc' } }));
    },
    countLive: () => store.read((em) => em.count(TokenEntity, live())),
    revoke: (id, caller) =>
      gate.writeRevoking(async (em, revoke) => (await endWithin(em, { id }, { caller, revoke })) > 0),
    revokeAllWithin: (em, ending) => endWithin(em, {}, ending),
    seen: (token) => {
      const use = activity.lastUse(token.id);
      if (!use || use.at <= (token.lastUsedAt ?? 0)) return token;
      return { ...token, lastUsedAt: use.at, lastUsedIp: use.ip };
    },
    reload: async (token) => {
      await activity.flush();
      return store.read((em) => em.findOne(TokenEntity, { id: token.id }));
    },
    deleteEnded: (limit) =>
      store.write(async (em) => {
        const over = { $or: [{ endedAt: { $ne: null } }, { expiresAt: { $lte: clock() } }] };
        const rows = await em.find(TokenEntity, over, { fields: ['id'], limit });
        const ids = rows.map((row) => row.id);
        return ids.length === 0 ? 0 : em.nativeDelete(TokenEntity, { id: { $in: ids } });
      }),
  };
}
