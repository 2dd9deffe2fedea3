// A row for tests that need any row at all.

export const anEvent = {
  id: 'e',
  type: 'login.failed',
  at: 1,
  ip: null,
  userAgent: null,
  sessionId: null,
  tokenId: null,
  detail: null,
};
