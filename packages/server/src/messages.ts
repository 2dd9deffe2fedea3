// The API's error messages. Each is written here once: callers receive it, and the OpenAPI document shows it.

export const messages = {
  invalidInput: 'The input is not valid; see issues.',
  notJson: 'The input is not valid JSON.',
  signInFirst: 'Sign in first.',
  invalidToken: 'The token is not one of this server, or it has been revoked or has expired.',
  wrongPassword: 'Wrong password.',
  scopeTooSmall: (scope: string) => `This token's scope is ${scope}; it may not do this.`,
  noTokens: 'No token may do this; sign in with the password.',
  stepUpRequired: 'Re-enter your password first: POST /api/v1/auth/step-up.',
  noSuchSession: 'There is no live session of this id.',
  noSuchToken: 'There is no live token of this id.',
  setByEnvironment: (envLine: string) =>
    `The environment sets the password; put this line there and start the server again: ${envLine}`,
  throttled: (seconds: number) => `Too many wrong passwords; try again in ${seconds} s.`,
  crossOrigin: (origin: string) =>
    `A page of another origin (${origin}) may not do this. ` +
    'To allow it, add its origin to ALLOWED_ORIGINS; if it is the address you use, set PUBLIC_URL to it.',
  payloadTooLarge: (maxBytes: number) => `The body is over ${maxBytes / 1024} KiB.`,
  unsupportedMediaType: (format: string, type: string) => `Send ${format} in UTF-8, with Content-Type: ${type}.`,
  internal: 'Something went wrong on the server; its log says what.',
  databaseAway: 'The database cannot be reached at the moment; try again shortly.',
  busy: 'Too many passwords are being checked at once; try again shortly.',
  noSuchPath: (path: string) => `There is no ${path}.`,
} as const;
