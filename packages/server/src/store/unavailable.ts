// The store's errors, apart from whatever opens a database.

/** The database cannot be used now: gone, full, read-only, or another process keeps it busy. Callers answer 503. */
export class StoreUnavailableError extends Error {
  override readonly name: string = 'StoreUnavailableError';
}

/** The database cannot be used as DATABASE_URL says. The message is one sentence that says what to do. */
export class DatabaseUrlError extends StoreUnavailableError {
  override readonly name = 'DatabaseUrlError';
}

/** The database can't be served by this version. The message is one sentence with the way back. */
export class UpgradeError extends Error {
  override readonly name = 'UpgradeError';
}

/** The same error, or a StoreUnavailableError around it where the database is what failed. */
export function asStoreError(error: unknown, isUnavailable: (error: unknown) => boolean): unknown {
  if (error instanceof StoreUnavailableError || !isUnavailable(error)) return error;
  return new StoreUnavailableError('The database cannot be used at the moment.', { cause: error });
}
