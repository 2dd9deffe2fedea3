// MikroORM's migrator over our migrations and our ledger. MikroORM's own ledger looks for its table in the schema `public`
// only, and creates it in the current schema.
import type { IMigratorStorage, MikroORM, Transaction } from '@mikro-orm/core';
import { Migration, Migrator } from '@mikro-orm/migrations';
import type { AbstractSqlDriver, EntityManager } from '@mikro-orm/sql';
import { RENAMING, readEarlierLedger } from '../earlier.ts';
import { LEDGER, readLedger } from '../ledger.ts';
import { type EngineName, readAsync } from '../reading.ts';
import { migrations } from './index.ts';
import { type Place, placeOf } from './migration.ts';

interface MigrationClass {
  name: string;
  class: new (...options: ConstructorParameters<typeof Migration>) => Migration;
}

/** Our migrations as MikroORM takes them. */
export const migrationsList: MigrationClass[] = migrations.map(({ name, up, down }) => ({
  name,
  class: class extends Migration {
    override async up(): Promise<void> {
      for (const sql of up(await this.place())) this.addSql(sql);
    }

    override async down(): Promise<void> {
      for (const sql of down(await this.place())) this.addSql(sql);
    }

    private async place(): Promise<Place> {
      const engine = engineOf(this.driver);
      const earlier = await readAsync(readEarlierLedger(engine), (sql) => this.execute(sql));
      return placeOf(engine, { isEarlier: earlier !== null });
    }
  },
}));

/** MikroORM loads its own migrator unless an extension has this name. */
export const migratorExtension = {
  name: 'Migrator',
  register: (orm: MikroORM): void =>
    orm.config.registerExtension('@mikro-orm/migrator', () => new LedgerMigrator(orm.em as EntityManager)),
};

class LedgerMigrator extends Migrator {
  protected override createStorage(): IMigratorStorage {
    return createStorage(this.driver);
  }
}

const engineOf = (driver: AbstractSqlDriver): EngineName =>
  driver.getPlatform().getDefaultSchemaName() === undefined ? 'sqlite' : 'postgresql';

function createStorage(driver: AbstractSqlDriver): IMigratorStorage {
  /** The transaction of all migrations, while they run. */
  let master: Transaction | undefined;
  const read = async (ctx: Transaction | undefined = master) =>
    readAsync(readLedger(engineOf(driver)), (sql) => driver.execute(sql, [], 'all', ctx));
  const executed = async () => (await read()).applied;
  return {
    executed,
    // The ledger does not say when.
    getExecutedMigrations: async () =>
      (await executed()).map((name, index) => ({ id: index + 1, name, executed_at: new Date(0) })),
    ensureTable: () =>
      driver.getConnection().transactional(async (ctx) => {
        const run = (sql: string) => driver.execute(sql, [], 'run', ctx);
        const { table } = await read(ctx);
        if (table === LEDGER) return;
        await run(`create table ${LEDGER} (name text not null primary key)`);
        if (table === null) return;
        await run(`insert into ${LEDGER} (name) select name from ${table}`);
        // Every column has a value, so no default is evaluated.
        await run(`insert into ${table} (id, name, executed_at)
          select max(id) + 1, '${RENAMING}', max(executed_at) from ${table}`);
      }),
    logMigration: async ({ name }, tx) => {
      await driver.execute(`insert into ${LEDGER} (name) values (?)`, [name], 'run', tx ?? master);
    },
    unlogMigration: async ({ name }, tx) => {
      await driver.execute(`delete from ${LEDGER} where name = ?`, [name], 'run', tx ?? master);
    },
    setMasterMigration: (transaction) => {
      master = transaction;
    },
    unsetMasterMigration: () => {
      master = undefined;
    },
    getMigrationName: (name) => name,
  };
}
