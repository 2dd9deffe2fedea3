import { Migration } from '@mikro-orm/migrations';

/** API tokens, the throttle's counts, known devices, and what a session needs for step-up. */
export class Migration0002Operate extends Migration {
  override up(): void {
    this.addSql('alter table sessions add column stepped_up_at bigint null');
    this.addSql(`create table tokens (
      id text not null primary key,
      name text not null,
      scope text not null,
      hosts text not null,
      prefix text not null,
      secret_sha256 text not null,
      created_at bigint not null,
      expires_at bigint null,
      last_used_at bigint null,
      last_used_ip text null,
      request_count bigint not null,
      ended_at bigint null
    )`);
    this.addSql('create unique index tokens_secret_sha256_unique on tokens (secret_sha256)');
    this.addSql(`create table throttle (
      source text not null primary key,
      failures bigint not null,
      first_at bigint not null,
      last_at bigint not null,
      told_at bigint not null
    )`);
    this.addSql(`create table devices (
      secret_sha256 text not null primary key,
      session_id text not null,
      created_at bigint not null,
      last_seen_at bigint not null
    )`);
    this.addSql('create index devices_session_id_index on devices (session_id)');
  }

  override down(): void {
    this.addSql('drop table devices');
    this.addSql('drop table throttle');
    this.addSql('drop table tokens');
    this.addSql('alter table sessions drop column stepped_up_at');
  }
}
