// How many failed attempts a source may make, and how long it waits afterwards. The counts are in the database: all instances
// share them, and they survive restarts. It knows no password and no session.
import { isIPv6 } from 'node:net';
import { type Clock, MINUTE_MS } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { ThrottleEntity, type ThrottleRow } from '../store/entities.ts';
import { findBy, update } from '../store/prepared.ts';
import { clearCountWithin, lockCountsWithin, uncountOneWithin } from '../store/statements/throttle.ts';
import type { Caller } from './caller.ts';
import type { Events } from './events.ts';

/** How many failures all unknown devices share in a window: a flood from many addresses meets one limit (NIST: 100). */
const UNKNOWN_DEVICES_MAX_FAILURES = 100;
const UNKNOWN_DEVICES = 'unknown-devices';
const FIRST_WAIT_MS = 30_000;

/** Who makes an attempt. A known device is counted on its own, anyone else by address. */
export interface Origin {
  /** Names a browser that has signed in before; null for an unknown one. */
  readonly deviceId: string | null;
  readonly caller: Caller;
  /** The session that asks, if one does. */
  readonly sessionId: string | null;
}

export interface Throttled {
  readonly outcome: 'throttled';
  readonly retryAfterSeconds: number;
}

/** An attempt that has been counted. */
export interface Admitted {
  readonly outcome: 'admitted';
  readonly sources: readonly string[];
}

export interface Throttle {
  /**
   * Whether an attempt has to wait. It is asked before the attempt enters the queue, so that an attempt that has to wait takes
   * nobody's place. It counts nothing.
   */
  refusal(origin: Origin): Promise<Throttled | null>;
  /** Counts an attempt before its proofs are checked. A refused one is not counted and does not extend the wait. */
  admitWithin(em: EntityManager, origin: Origin): Promise<Admitted | Throttled>;
  /** The attempt succeeded, so the counts of its sources are cleared. */
  forgiveWithin(em: EntityManager, admitted: Admitted): Promise<void>;
  /** The sources that have failed lately, those with the longest wait first. Times are in milliseconds since 1970. */
  list(): Promise<{ source: string; failures: number; lastAt: number; waitsUntil: number | null }[]>;
  /** Forgets one source, or all of them. Returns how many there were. */
  clear(source?: string): Promise<number>;
  /** Deletes up to `limit` sources whose counts no longer matter. Returns how many. */
  deleteStale(limit: number): Promise<number>;
}

export function createThrottle(options: {
  config: Pick<Config, 'loginMaxFailures' | 'loginWindowMinutes'>;
  store: Store;
  events: Events;
  clock: Clock;
}): Throttle {
  const { config, store, events, clock } = options;
  const windowMs = config.loginWindowMinutes * MINUTE_MS;

  const maxFailures = (source: string) => {
    if (source === UNKNOWN_DEVICES) return UNKNOWN_DEVICES_MAX_FAILURES;
    return source.endsWith('/48') ? config.loginMaxFailures * 4 : config.loginMaxFailures;
  };

  /** A time in the future, from a clock that was wrong, counts as now: nobody waits longer than a window. */
  const past = (at: number) => Math.min(at, clock());

  /** When a source may try again, or 0. The shared count has a fixed window, and no wait that doubles. */
  const freeAt = (row: ThrottleRow): number => {
    const { source, failures } = row;
    const beyond = failures - maxFailures(source);
    if (beyond < 0) return 0;
    return source === UNKNOWN_DEVICES
      ? past(row.firstAt) + windowMs
      : past(row.lastAt) + Math.min(windowMs, FIRST_WAIT_MS * 2 ** beyond);
  };

  /** When failures no longer matter. It counts from the end of the wait: the longest wait must not end in a fresh start. */
  const forgottenAt = (row: ThrottleRow) =>
    (row.source === UNKNOWN_DEVICES ? past(row.firstAt) : Math.max(past(row.lastAt), freeAt(row))) + windowMs;

  const longestWait = (rows: readonly ThrottleRow[], now: number) => {
    const waits = rows.map((row) => ({ row, until: freeAt(row) })).filter(({ until }) => until > now);
    return waits.sort((a, b) => b.until - a.until)[0] ?? null;
  };

  const secondsUntil = (until: number, now: number) => Math.ceil((until - now) / 1000);

  /** Records one event for each source and wait, however often it is refused. */
  const reportWithin = async (
    em: EntityManager,
    { caller, sessionId }: Origin,
    { row, until }: { row: ThrottleRow; until: number },
  ) => {
    const { source, lastAt } = row;
    const unreported = { source, reportedAt: { $lt: lastAt } };
    if ((await em.nativeUpdate(ThrottleEntity, unreported, { reportedAt: lastAt })) === 0) return;
    const detail = `${source} waits ${secondsUntil(until, clock())} s`;
    await events.recordWithin(em, { type: 'login.throttled', caller, sessionId, detail });
  };

  const countWithin = async (em: EntityManager, row: ThrottleRow, now: number): Promise<void> => {
    const startsOver = forgottenAt(row) <= now;
    const counted = startsOver ? { failures: 1, firstAt: now } : { failures: row.failures + 1 };
    await update(em, ThrottleEntity, { source: row.source }, { ...counted, lastAt: now });
  };

  return {
    refusal: async (origin) => {
      const now = clock();
      const sources = sourcesOf(origin);
      const rows = await store.read((em) => findBy(em, ThrottleEntity, 'source', sources));
      const wait = longestWait(rows, now);
      if (!wait) return null;
      if (wait.row.reportedAt < wait.row.lastAt) await store.write((em) => reportWithin(em, origin, wait));
      return { outcome: 'throttled', retryAfterSeconds: secondsUntil(wait.until, now) };
    },
    admitWithin: async (em, origin) => {
      const now = clock();
      const sources = sourcesOf(origin);
      const rows = await lockCountsWithin(em, sources, now);
      const wait = longestWait(rows, now);
      if (wait) {
        await reportWithin(em, origin, wait);
        return { outcome: 'throttled', retryAfterSeconds: secondsUntil(wait.until, now) };
      }
      for (const row of rows) await countWithin(em, row, now);
      return { outcome: 'admitted', sources };
    },
    forgiveWithin: async (em, { sources }) => {
      for (const source of sources) {
        // All unknown devices share this count, so only the attempt itself is taken back.
        await (source === UNKNOWN_DEVICES ? uncountOneWithin(em, source) : clearCountWithin(em, source));
      }
    },
    list: async () => {
      const now = clock();
      const rows = await store.read((em) => em.find(ThrottleEntity, { failures: { $gt: 0 } }));
      const described = rows
        .filter((row) => forgottenAt(row) > now)
        .map((row) => {
          const until = freeAt(row);
          const { source, failures, lastAt } = row;
          return { source, failures, lastAt, waitsUntil: until > now ? until : null };
        });
      return described.sort((a, b) => (b.waitsUntil ?? 0) - (a.waitsUntil ?? 0) || b.lastAt - a.lastAt);
    },
    clear: (source) => store.write((em) => em.nativeDelete(ThrottleEntity, source === undefined ? {} : { source })),
    deleteStale: (limit) =>
      store.write(async (em) => {
        // The longest wait is one window, and failures are remembered for another one after it.
        const stale = { lastAt: { $lte: clock() - 2 * windowMs } };
        const rows = await em.find(ThrottleEntity, stale, { fields: ['source'], limit });
        return rows.length === 0
          ? 0
          : em.nativeDelete(ThrottleEntity, { ...stale, source: { $in: rows.map((row) => row.source) } });
      }),
  };
}

/** Everything that an attempt counts for. A known device counts for itself only. */
function sourcesOf({ deviceId, caller: { ip } }: Origin): string[] {
  if (deviceId !== null) return [`device:${deviceId}`];
  return [...sourcesOfAddress(ip), UNKNOWN_DEVICES];
}

/** What an address counts for by itself: an IPv6 one for its networks. */
export function sourcesOfAddress(ip: string | null): string[] {
  const networks = ip !== null && isIPv6(ip) ? [ipv6Network(ip, 64), ipv6Network(ip, 48)] : [ip ?? 'unknown'];
  return networks.map((network) => `ip:${network}`);
}

/** The network of an IPv6 address, written out: `2001:db8:1:2::/64`. One customer has a /64 at least, often a /48. */
export function ipv6Network(ip: string, bits: 48 | 64): string {
  // An IPv4 address at the end (RFC 4291, 2.2) stands for two groups, and is in no network as wide as these.
  const [head = '', tail] = ip
    .replace(/%.*$/s, '')
    .replace(/[^:]*\.[^:]*$/, '0:0')
    .split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...right].slice(0, bits / 16);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/${bits}`;
}
