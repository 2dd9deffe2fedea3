// The store's errors. They are in a separate file so that a caller can check for them without loading an engine.

/** The database cannot be used now: it is gone, full, read-only, or locked by another process. Callers respond with 503. */
export class StoreUnavailableError extends Error {
  override readonly name: string = 'StoreUnavailableError';
}

/** The database in DATABASE_URL cannot be used. The message is one sentence that says what to do. */
export class DatabaseUrlError extends StoreUnavailableError {
  override readonly name = 'DatabaseUrlError';
}

/** This version cannot use the database. The message is one sentence that says what to do. */
export class UpgradeError extends Error {
  override readonly name = 'UpgradeError';
}

/** The same error, or a StoreUnavailableError around it if the database itself failed. */
export function asStoreError(error: unknown, isUnavailable: (error: unknown) => boolean): unknown {
  if (error instanceof StoreUnavailableError || !isUnavailable(error)) return error;
  return new StoreUnavailableError('The database cannot be used at the moment.', { cause: error });
}
