// Where the tables are: everything is in the current schema, the first one on the connection's search path that exists.
import type pg from 'pg';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import { DatabaseUrlError } from '../unavailable.ts';

/** @throws DatabaseUrlError if there is no current schema. The message has the line that creates it. */
export async function refusePlace(client: pg.Client, { shown, user }: PostgresAddress): Promise<void> {
  const { rows } = await client.query<{ schema: string | null; path: string }>(
    `select current_schema() as schema, current_setting('search_path') as path`,
  );
  const [{ schema, path } = { schema: null, path: '' }] = rows;
  if (schema !== null) return;
  const [first = ''] = path.split(',');
  const name = first.trim().replace(/^"\$user"$/, user) || 'public';
  const existing = await client.query('select from pg_catalog.pg_namespace where nspname = $1', [
    name.replace(/^"(.*)"$/, '$1'),
  ]);
  const text = existing.rowCount
    ? `${user} may not use the schema ${name}; as its owner: GRANT USAGE, CREATE ON SCHEMA ${name} TO ${user}`
    : `there is no schema ${name}; create it with: CREATE SCHEMA ${name} AUTHORIZATION ${user}`;
  throw new DatabaseUrlError(`DATABASE_URL: at ${shown} the search path is ${path || 'empty'}, and ${text}`);
}
