import { Migration } from '@mikro-orm/migrations';

/** Sessions, events and password hashes. */
export class Migration0001Seed extends Migration {
  override up(): void {
    this.addSql(`create table sessions (
      id text not null primary key,
      secret_sha256 text not null,
      password_fingerprint text not null,
      remembered ${this.driver.getPlatform().getBooleanTypeDeclarationSQL()} not null,
      created_at bigint not null,
      last_seen_at bigint not null,
      ended_at bigint null,
      request_count bigint not null,
      ip text null,
      user_agent text null
    )`);
    this.addSql('create unique index sessions_secret_sha256_unique on sessions (secret_sha256)');
    this.addSql('create index sessions_last_seen_at_index on sessions (last_seen_at)');
    this.addSql(`create table events (
      id text not null primary key,
      at bigint not null,
      type text not null,
      ip text null,
      user_agent text null,
      session_id text null,
      token_id text null,
      detail text null
    )`);
    this.addSql('create index events_type_id_index on events (type, id)');
    this.addSql(`create table passwords (
      origin text not null primary key,
      hash text not null,
      changed_at bigint not null
    )`);
  }

  override down(): void {
    this.addSql('drop table passwords');
    this.addSql('drop table events');
    this.addSql('drop table sessions');
  }
}
