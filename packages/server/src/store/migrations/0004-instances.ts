import { Migration } from '@mikro-orm/migrations';

/** The state that instances on one database must agree on. */
export class Migration0004Instances extends Migration {
  override up(): void {
    this.addSql(`create table instances (
      id text not null primary key,
      host text not null,
      password text not null,
      joined_at bigint not null,
      seen_at bigint not null
    )`);
    this.addSql('create table signing_keys (id text not null primary key)');
  }

  override down(): void {
    this.addSql('drop table signing_keys');
    this.addSql('drop table instances');
  }
}
