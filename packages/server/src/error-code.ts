// The `code` of errors from Node, SQLite and PostgreSQL, such as ENOENT or SQLITE_BUSY.

/** The error's code, or an empty string if it has none. */
export function errorCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}
