// Where the tables are, and whether every text can be stored there. Everything is in the current schema, the first one on the
// connection's search path that exists.
import type pg from 'pg';
import type { PostgresAddress } from '../../config/postgres-url.ts';
import { DatabaseUrlError } from '../unavailable.ts';

/**
 * @throws DatabaseUrlError if there is no current schema or the database is not in UTF-8, with the line that creates one, or if
 *   the names in the schema hide those of PostgreSQL itself
 */
export async function refusePlace(client: pg.Client, { shown, user, database }: PostgresAddress): Promise<void> {
  const { rows } = await client.query<{ schema: string | null; path: string; all: string[]; encoding: string }>(
    `select current_schema() as schema, current_setting('search_path') as path, current_schemas(true)::text[] as all,
       current_setting('server_encoding') as encoding`,
  );
  const [{ schema, path, all, encoding } = { schema: null, path: '', all: [], encoding: '' }] = rows;
  if (encoding !== 'UTF8') {
    const line = `createdb --encoding=UTF8 --template=template0 ${database}`;
    throw new DatabaseUrlError(
      `DATABASE_URL: ${shown} stores texts as ${encoding}, not as UTF-8, so create another database: ${line}`,
    );
  }
  if (schema !== null) {
    if (all.indexOf('pg_catalog') <= all.indexOf(schema)) return;
    const text = `the search path is ${path}, which hides functions of PostgreSQL itself: take pg_catalog out of it`;
    throw new DatabaseUrlError(`DATABASE_URL: at ${shown} ${text}`);
  }
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
