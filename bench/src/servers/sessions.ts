// What every peer that checks a session checks it with, the least that makes it revocable: an HMAC over a random secret,
// and the row of the secret's SHA-256 by a prepared statement of better-sqlite3. Arguments of such a peer: its folder.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const COOKIE = 'session';
const HOUR_MS = 3_600_000;

export interface Session {
  id: string;
  createdAt: number;
  lastSeenAt: number;
  expiresAt: number;
  endedAt: number | null;
  ip: string;
  userAgent: string;
}

export interface Sessions {
  /** The file with the one table, `sessions`. */
  readonly file: string;
  /** The Set-Cookie line of the one session that there is. */
  readonly setCookie: string;
  /** The live session that a Cookie header shows. */
  check(header: string | undefined): Session | null;
  /** The secret of a cookie that was signed here: the first half of the check, for those who read the row themselves. */
  open(header: string | undefined): string | null;
}

export const sha256 = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

export function openSessions(): Sessions {
  const file = join(process.argv[2] ?? '', 'sessions.db');
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec(`create table sessions (
    id text primary key, secret_sha256 text not null unique, created_at integer not null, last_seen_at integer not null,
    expires_at integer not null, ended_at integer, ip text not null, user_agent text not null
  )`);
  const secret = randomBytes(32).toString('base64url');
  const now = Date.now();
  db.prepare('insert into sessions values (?, ?, ?, ?, ?, null, ?, ?)').run(
    ...[randomBytes(12).toString('hex'), sha256(secret), now, now, now + HOUR_MS],
    ...['127.0.0.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  );

  const key = randomBytes(32);
  const sign = (text: string) => createHmac('sha256', key).update(text).digest();
  const read = db.prepare<[string], Session>(`select id, created_at as createdAt, last_seen_at as lastSeenAt,
    expires_at as expiresAt, ended_at as endedAt, ip, user_agent as userAgent from sessions where secret_sha256 = ?`);

  const open = (header: string | undefined): string | null => {
    const value = header?.startsWith(`${COOKIE}=`) ? header.slice(COOKIE.length + 1) : '';
    const dot = value.indexOf('.');
    const signature = Buffer.from(value.slice(dot + 1), 'base64url');
    const expected = sign(value.slice(0, dot));
    const isSigned = signature.length === expected.length && timingSafeEqual(signature, expected);
    return isSigned ? value.slice(0, dot) : null;
  };
  return {
    file,
    setCookie: `${COOKIE}=${secret}.${sign(secret).toString('base64url')}`,
    open,
    check: (header) => {
      const shown = open(header);
      const session = shown === null ? undefined : read.get(sha256(shown));
      return session && session.endedAt === null && session.expiresAt > Date.now() ? session : null;
    },
  };
}
