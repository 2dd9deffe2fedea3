// Fills a database with what a server leaves behind in years, by two statements of SQL: ended sessions, and events of four
// types. The server is not running meanwhile.
import Database from 'better-sqlite3';
import { serveJobs } from './worker.ts';

export interface FillJob {
  /** BackChannel's SQLite file, with its tables. */
  file: string;
  sessions: number;
  events: number;
}

const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

serveJobs(async ({ file, sessions, events }: FillJob): Promise<{ bytes: number }> => {
  const db = new Database(file);
  // Nobody minds when this one is lost; and indexes this big are built in memory.
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -400000');
  const now = Date.now();
  db.exec(`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${sessions})
    insert into backchannel_sessions (id, secret_sha256, password_fingerprint, remembered, created_at, last_seen_at, ended_at,
      request_count, ip, user_agent)
    select lower(hex(randomblob(12))), lower(hex(randomblob(22))), 'none', i % 2, ${now} - i * 1000, ${now} - i * 900,
      ${now} - i * 500, i % 1000, '198.51.100.7', '${USER_AGENT}' from n`);
  db.exec(`with recursive n (i) as (select 1 union all select i + 1 from n where i < ${events})
    insert into backchannel_events (id, at, type, ip, user_agent)
    select printf('%012x', ${now} - i * 2000) || '0000' || lower(hex(randomblob(4))), ${now} - i * 2000,
      case i % 4 when 0 then 'login.succeeded' when 1 then 'login.failed' when 2 then 'logout' else 'session.revoked' end,
      '198.51.100.7', '${USER_AGENT}' from n`);
  const bytes = db
    .prepare<[], number>('select page_count * page_size from pragma_page_count, pragma_page_size')
    .pluck();
  const filled = bytes.get() ?? 0;
  db.close();
  return { bytes: filled };
});
