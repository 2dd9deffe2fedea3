import { Migration } from '@mikro-orm/migrations';

/** An index that finds live sessions by their creation time quickly, however many have ended. */
export class Migration0003Live extends Migration {
  override up(): void {
    this.addSql('create index sessions_ended_at_created_at_index on sessions (ended_at, created_at)');
  }

  override down(): void {
    this.addSql('drop index sessions_ended_at_created_at_index');
  }
}
