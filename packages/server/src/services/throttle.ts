// How many wrong passwords a source may try, and how long it waits then. Counts are in the database: every instance
// shares them and a restart forgets none. It knows no password and no session.
import { isIPv6 } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { EntityManager, Store } from '../store/database.ts';
import { ThrottleEntity, type ThrottleRow } from '../store/entities.ts';
import { findBy, run, update } from '../store/prepared.ts';
import type { Client } from './caller.ts';
import type { Events } from './events.ts';

/** What all unknown devices together may fail in a window: a flood from many addresses finds one limit (NIST: 100). */
const UNKNOWN_DEVICES_MAX_FAILURES = 100;
const UNKNOWN_DEVICES = 'unknown-devices';
const FIRST_WAIT_MS = 30_000;

/** Who tries: a known device is counted on its own, anybody else by address. */
export interface Try {
  /** Names a browser that has signed in before; null for an unknown one. */
  readonly deviceId: string | null;
  readonly client: Client;
  /** The session that asks, where one does. */
  readonly sessionId: string | null;
}

export interface Throttled {
  readonly outcome: 'throttled';
  readonly retryAfterSeconds: number;
}

/** A try that has been counted. */
export interface Admitted {
  readonly outcome: 'admitted';
  readonly sources: readonly string[];
}

export interface Throttle {
  /** Whether a try has to wait, asked before it queues: whoever has to wait takes nobody's place. Counts nothing. */
  refusal(attempt: Try): Promise<Throttled | null>;
  /**
   * Counts a try before its password is looked at. A refused one neither counts nor makes the wait longer. `also` is done
   * in the same transaction.
   */
  admit(attempt: Try, also?: (em: EntityManager) => Promise<void>): Promise<Admitted | Throttled>;
  /** Within the caller's transaction: the password was right, so the try's sources are cleared. */
  forgive(em: EntityManager, admitted: Admitted): Promise<void>;
  /** The same before the next count, for when the database could not be written. */
  forgiveLater(admitted: Admitted): void;
  /** The sources that have failed lately, those that wait longest first. */
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
  const windowMs = config.loginWindowMinutes * 60_000;
  const owed = new Set<Admitted>();

  const maxFailures = (source: string) => {
    if (source === UNKNOWN_DEVICES) return UNKNOWN_DEVICES_MAX_FAILURES;
    return source.endsWith('/48') ? config.loginMaxFailures * 4 : config.loginMaxFailures;
  };

  /** When a source may try again, or 0. What is shared has a fixed window, and no wait that doubles. */
  const freeAt = ({ source, failures, firstAt, lastAt }: ThrottleRow): number => {
    const beyond = failures - maxFailures(source);
    if (beyond < 0) return 0;
    return source === UNKNOWN_DEVICES ? firstAt + windowMs : lastAt + Math.min(windowMs, FIRST_WAIT_MS * 2 ** beyond);
  };

  /** When failures no longer matter. Counted from the wait's end: whoever waits its longest must not begin anew after it. */
  const forgottenAt = (row: ThrottleRow) =>
    (row.source === UNKNOWN_DEVICES ? row.firstAt : Math.max(row.lastAt, freeAt(row))) + windowMs;

  const longestWait = (rows: readonly ThrottleRow[], now: number) => {
    const waits = rows.map((row) => ({ row, until: freeAt(row) })).filter(({ until }) => until > now);
    return waits.sort((a, b) => b.until - a.until)[0] ?? null;
  };

  const secondsUntil = (until: number, now: number) => Math.ceil((until - now) / 1000);

  /** One event for each source and wait, whoever is refused how often. */
  const tell = async (em: EntityManager, attempt: Try, { row, until }: { row: ThrottleRow; until: number }) => {
    const { source, lastAt } = row;
    const untold = { source, toldAt: { $lt: lastAt } };
    if ((await em.nativeUpdate(ThrottleEntity, untold, { toldAt: lastAt })) === 0) return;
    const { client, sessionId } = attempt;
    const detail = `${source} waits ${secondsUntil(until, clock())} s`;
    await events.record(em, { type: 'login.throttled', client, sessionId, detail });
  };

  const forgive: Throttle['forgive'] = async (em, { sources }) => {
    for (const source of sources) {
      // All unknown devices share this one, so no more than the try itself is taken back.
      const takesBack = 'update throttle set failures = failures - 1 where source = ? and failures > 0';
      await run(em, source === UNKNOWN_DEVICES ? takesBack : 'delete from throttle where source = ?', [source]);
    }
  };

  /** The rows of these sources, new where there were none; other instances wait for them until this transaction ends. */
  const take = async (em: EntityManager, sources: readonly string[], now: number): Promise<ThrottleRow[]> => {
    const values = sources.map(() => '(?, 0, ?, ?, 0)').join(', ');
    await run(
      em,
      `insert into throttle (source, failures, first_at, last_at, told_at) values ${values}
       on conflict (source) do update set failures = throttle.failures`,
      sources.flatMap((source) => [source, now, now]),
    );
    return findBy(em, ThrottleEntity, 'source', sources);
  };

  const count = async (em: EntityManager, row: ThrottleRow, now: number): Promise<void> => {
    const isAnew = forgottenAt(row) <= now;
    const counted = isAnew ? { failures: 1, firstAt: now } : { failures: row.failures + 1 };
    await update(em, ThrottleEntity, { source: row.source }, { ...counted, lastAt: now });
  };

  return {
    refusal: async (attempt) => {
      // What is owed could be the very failures that it would wait for.
      if (owed.size > 0) return null;
      const now = clock();
      const sources = sourcesOf(attempt);
      const rows = await store.read((em) => findBy(em, ThrottleEntity, 'source', sources));
      const wait = longestWait(rows, now);
      if (!wait) return null;
      if (wait.row.toldAt < wait.row.lastAt) await store.write((em) => tell(em, attempt, wait));
      return { outcome: 'throttled', retryAfterSeconds: secondsUntil(wait.until, now) };
    },
    admit: async (attempt, also) => {
      const due = [...owed];
      owed.clear();
      try {
        const admit = async (em: EntityManager): Promise<Admitted | Throttled> => {
          await also?.(em);
          for (const admitted of due) await forgive(em, admitted);
          const now = clock();
          const sources = sourcesOf(attempt);
          const rows = await take(em, sources, now);
          const wait = longestWait(rows, now);
          if (wait) {
            await tell(em, attempt, wait);
            return { outcome: 'throttled', retryAfterSeconds: secondsUntil(wait.until, now) };
          }
          for (const row of rows) await count(em, row, now);
          return { outcome: 'admitted', sources };
        };
        // A failure that a power failure forgets is one more try; waiting for the disk at each would hold up every check.
        return await store.write(admit, { durable: false });
      } catch (error) {
        for (const admitted of due) owed.add(admitted);
        throw error;
      }
    },
    forgive,
    forgiveLater: (admitted) => {
      owed.add(admitted);
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
        // The longest wait is a window, and failures are remembered for another one after it.
        const stale = { lastAt: { $lte: clock() - 2 * windowMs } };
        const rows = await em.find(ThrottleEntity, stale, { fields: ['source'], limit });
        return rows.length === 0
          ? 0
          : em.nativeDelete(ThrottleEntity, { ...stale, source: { $in: rows.map((row) => row.source) } });
      }),
  };
}

/** Everything that a try counts for. A known device is nobody else's business, nor is anybody else its. */
function sourcesOf({ deviceId, client: { ip } }: Try): string[] {
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
