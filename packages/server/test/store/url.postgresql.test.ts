// The ways to name a PostgreSQL database that its own tools know, with a real one.
import { expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../src/config/config.ts';
import { openStore } from '../../src/store/database.ts';
import { openElsewhere } from '../support/elsewhere.ts';
import { openTestDatabase } from '../support/harness.ts';

test('a URL over TCP, over a Unix socket, and one that leaves everything to the variables lead to the same database', async () => {
  await using database = await openTestDatabase();
  await using other = await openElsewhere(database);
  const [setting] = await other.run<{ unix_socket_directories: string }>('show unix_socket_directories');
  const folder = setting?.unix_socket_directories ?? '';
  const { hostname, port, username: user, password, pathname } = new URL(database.url);
  const name = pathname.slice(1);
  const [encodedFolder, credentials] = [encodeURIComponent(folder), `${user}:${password}`];
  const variables = { PGHOST: folder, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGDATABASE: name };
  const ways: [string, Record<string, string>][] = [
    [`postgresql://${credentials}@${hostname}:${port}/${name}`, {}],
    [`postgres://${hostname}:${port}/${name}?user=${user}&password=${password}`, {}],
    [`postgresql://${user}@${hostname}/${name}`, { PGPASSWORD: password, PGPORT: port }],
    [`postgresql://${credentials}@/${name}?host=${encodedFolder}&port=${port}`, {}],
    [`postgresql:///${name}?host=${folder}&port=${port}&user=${user}&password=${password}`, {}],
    [`postgresql://${credentials}@${encodedFolder}:${port}/${name}`, {}],
    ['postgresql://', { ...variables, PGSSLMODE: 'require' }],
  ];
  for (const [url, env] of ways) {
    const address = parseDatabaseUrl(url, { env });
    if ('problem' in address) throw new Error(address.problem);
    await using store = await openStore(address);
    const rows = await store.read((em) => em.execute<{ name: string }[]>('select current_database() as name'));
    expect(rows).toEqual([{ name }]);
  }
});
