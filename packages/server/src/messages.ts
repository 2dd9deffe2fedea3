// The API's error messages. Callers receive them, and the OpenAPI document shows them.

export const messages = {
  invalidInput: 'The input is not valid; see issues.',
  notJson: 'The input is not valid JSON, an object in it has a key twice, or a text in it is not valid Unicode.',
  signInFirst: 'Sign in first.',
  invalidToken: 'The token is unknown, revoked or expired.',
  wrongPassword: 'Wrong password.',
  scopeTooSmall: (scope: string) => `This token's scope is ${scope}, which does not allow this.`,
  noTokens: 'API tokens are not allowed to do this; sign in with the password.',
  stepUpRequired: 'Re-enter your password first: POST /api/v1/auth/step-up.',
  noSuchSession: 'There is no live session with this id.',
  noSuchToken: 'There is no live token with this id.',
  setByEnvironment: (envLine: string) =>
    `The password is set in the environment. To change it, put this line there and restart the server: ${envLine}`,
  throttled: (seconds: number) => `Too many wrong passwords; try again in ${seconds} s.`,
  crossOrigin: (origin: string) =>
    `Pages of another origin (${origin}) are not allowed to do this. ` +
    'PUBLIC_URL and ALLOWED_ORIGINS list the origins that are.',
  insecureOrigin: (publicUrl: string) =>
    `This was sent from a page that was loaded over http, where others can change it. Use ${publicUrl} instead.`,
  invalidHost: 'A request needs exactly one valid Host header, which is the host of its address.',
  payloadTooLarge: (maxBytes: number) => `The body is larger than ${maxBytes / 1024} KiB.`,
  unsupportedMediaType: (format: string, type: string) => `Send ${format} in UTF-8, with Content-Type: ${type}.`,
  internal: 'Something went wrong on the server; see its log.',
  databaseAway: 'The database is unavailable; try again shortly.',
  busy: 'Too many passwords are being checked at once; try again shortly.',
  noSuchPath: (path: string) => `There is nothing at ${path}.`,
} as const;
