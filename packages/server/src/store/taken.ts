// Names that BackChannel is about to create, and that something else in the database already has.
import { entities } from './entities.ts';
import { LEDGER, type Ledger } from './ledger.ts';
import { PREFIX } from './names.ts';

const tables = entities.map(({ meta }) => meta.tableName);

/** `names` are those of all tables, indexes and so on in the database, read before the ledger. */
export function findTaken(names: readonly string[], { applied, table, prefix }: Ledger): string[] {
  const isCreated = applied.length > 0 && prefix === PREFIX;
  if (isCreated) return [];
  const others = names.filter((name) => table !== LEDGER || ![LEDGER, `${LEDGER}_pkey`].includes(name));
  return others.filter((name) => [LEDGER, ...tables].some((own) => name === own || isIndexOf(own, name)));
}

const isIndexOf = (table: string, name: string) => name.startsWith(`${table}_`) && /_(?:pkey|unique|index)$/.test(name);

export const takenText = (name: string): string =>
  `has a table or an index called ${name} that BackChannel did not create: ` +
  'rename it, or give BackChannel a database or a schema of its own';
