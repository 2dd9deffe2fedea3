// Last use and request counts of sessions and tokens, many rows in one statement.
import type { EntityManager } from '../engine.ts';
import { nameOf } from '../names.ts';

export interface WrittenUse {
  readonly id: string;
  /** When it was last used, in milliseconds since 1970. */
  readonly at: number;
  readonly ip: string | null;
  /** How many requests to add. */
  readonly requests: number;
}

/** SQLite takes 32,766 parameters in a statement, PostgreSQL 65,535. A row takes four. */
export const MAX_USES_PER_STATEMENT = 1000;

/** Adds the request counts. If two instances report a last use, the later one is kept. */
export function addUsesWithin(
  em: EntityManager,
  kind: 'session' | 'token',
  uses: readonly WrittenUse[],
): Promise<unknown> {
  // The casts are for PostgreSQL, which treats every parameter in a VALUES list as text.
  const values = uses.map(() => '(?, cast(? as bigint), ?, cast(? as bigint))').join(', ');
  const table = nameOf(`${kind}s`);
  const seen = kind === 'session' ? 'last_seen_at' : 'last_used_at';
  const isLater = `used.at > coalesce(${table}.${seen}, 0)`;
  const ip = kind === 'token' ? `last_used_ip = case when ${isLater} then used.ip else ${table}.last_used_ip end,` : '';
  const statement = `with used (id, at, ip, requests) as (values ${values})
    update ${table} set ${ip}
      ${seen} = case when ${isLater} then used.at else ${table}.${seen} end,
      request_count = request_count + used.requests
    from used where ${table}.id = used.id`;
  const parameters = uses.flatMap(({ id, at, ip, requests }) => [id, at, ip, requests]);
  return em.execute(statement, parameters, 'run');
}
