// Fills a database with API tokens that open any application at forward-auth, by one statement of SQL. Servers may be running
// on it.
import Database from 'better-sqlite3';
import pg from 'pg';
import { storedOf } from '../tokens.ts';
import { serveJobs } from './worker.ts';

export interface FillTokensJob {
  /** BackChannel's SQLite file, or the URL of its PostgreSQL database, with its tables. */
  database: string;
  tokens: number;
}

serveJobs(async ({ database, tokens }: FillTokensJob): Promise<object> => {
  const stored = JSON.stringify(Array.from({ length: tokens }, (_, index) => storedOf(index)));
  if (database.startsWith('postgresql:')) await fillPostgres(database, stored);
  else fillSqlite(database, stored);
  return {};
});

/** A statement that makes a token of each row of `list`, which has `i` and `secret_sha256`. */
const insertFrom = (list: string) => `insert into backchannel_tokens
  (id, name, scope, hosts, prefix, secret_sha256, created_at, request_count)
  select 'bench' || i, 'bench ' || i, 'proxy', '[]', 'bct_bench', secret_sha256, ${Date.now()}, 0 from ${list}`;

function fillSqlite(file: string, stored: string): void {
  const db = new Database(file);
  db.prepare(insertFrom('(select key as i, value as secret_sha256 from json_each(?))')).run(stored);
  db.close();
}

async function fillPostgres(connectionString: string, stored: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(insertFrom('json_array_elements_text($1) with ordinality as list (secret_sha256, i)'), [stored]);
  // Done now, because the server would do it within a minute, during the measurement.
  await client.query('vacuum analyze tokens');
  await client.end();
}
