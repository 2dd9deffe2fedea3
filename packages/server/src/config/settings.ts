/**
 * The table of settings. Config's type, `.env.example`, the README's table, `--help` and the list of known names come
 * from it. It reads neither the environment nor a file.
 */
import { randomBytes } from 'node:crypto';
import type * as z from 'zod';
import { fixed, open, type Setting, secret } from './setting.ts';
import {
  AllowedOrigins,
  CookieDomain,
  CookieName,
  DatabaseUrl,
  DEFAULT_COOKIE_NAME,
  Host,
  OperatorEmail,
  OperatorName,
  oneOf,
  PasswordHash,
  Path,
  PlainPassword,
  PublicUrl,
  SecretKeys,
  TrustedProxies,
  wholeNumber,
} from './values.ts';

const MAX_DAYS = 3650;
const MAX_PORT = 65_535;

/** The hash of a random password that nobody kept. Whoever copies this example is locked out, but not broken into. */
const unknownPasswordHash = 'JDJiJDEyJDNJdllvL1lTOGRTUzgzTFFmeWFsTi5JaUpEQUcxYTFCR3Ivc3BlMHF4MzM2MXUwd3Q2Z1Rt';

/** By the field of Config that holds the value. The order is that of the README. */
export const table = {
  /** Where to listen, as given: an IP address or a host name. */
  host: fixed('HOST', Host, {
    section: 'Where it listens',
    default: '127.0.0.1',
    example: '127.0.0.1',
    description: 'The address to listen on. `0.0.0.0` or `::` is every network (the container image sets `0.0.0.0`).',
    details: '127.0.0.1 is this machine only.',
  }),
  /** 0 to 65535. 0 is any free port, for tests. */
  port: fixed('PORT', wholeNumber(0, MAX_PORT), {
    section: 'Where it listens',
    default: '8000',
    example: '8000',
    description: 'The port to listen on.',
  }),
  publicUrl: open('PUBLIC_URL', PublicUrl, {
    section: 'Where it listens',
    default: 'http://localhost:8000',
    example: 'https://auth.example.com',
    description:
      'The address people type, without a path. It follows PORT if left out. With https, cookies are Secure.',
    details:
      'Set it as soon as another machine or a proxy is involved. Secure cookies work over https only, so people can then ' +
      'no longer sign in over http.',
  }),
  dataDir: fixed('DATA_DIR', Path, {
    section: 'Data',
    default: 'data',
    example: '/var/lib/backchannel',
    description: 'The folder that holds the key and the SQLite database.',
    details: 'Back it up, and let nobody else read it.',
  }),
  /** The key ring: the first key signs, all verify. Null if the key in `dataDir/secret.key` is used. */
  secretKeys: secret('SECRET_KEY', SecretKeys, {
    section: 'Sessions',
    example: randomBytes(32).toString('base64url'),
    description:
      'The key that signs cookies, at least 32 characters without white space. If left out, one is created and kept in ' +
      '`DATA_DIR/secret.key`. Several keys with commas between them are a key ring: the first signs, all verify.',
    details:
      'With PostgreSQL it must be set. To change it without signing anybody out, put the new key first and the old one ' +
      'after a comma.',
  }),
  masterPassword: secret('MASTER_PASSWORD', PlainPassword, {
    section: 'The password',
    example: randomBytes(15).toString('base64url'),
    description: 'The master password in plain text, 72 bytes at most.',
    details:
      'Better 15 characters or more. If no password is set, the built-in admin123 works as long as only this machine can ' +
      'connect. Otherwise, or if this line is there but empty, the first start creates a password and shows it once.',
  }),
  masterPasswordHash: secret('MASTER_PASSWORD_HASH', PasswordHash, {
    section: 'The password',
    example: unknownPasswordHash,
    description: 'Its bcrypt hash, as it is or in base64. If it is set, MASTER_PASSWORD is ignored.',
    details:
      'It keeps the plain text out of this file. "./backchannel hash --env" prints the whole line: with the hash in single ' +
      'quotes ($2b$12$...), or with --base64 in a form that no tool changes.',
  }),
  sessionExpireMinutes: fixed('SESSION_EXPIRE_MINUTES', wholeNumber(1, MAX_DAYS * 24 * 60), {
    section: 'Sessions',
    default: '60',
    example: '60',
    description: 'A session ends this many minutes after its last use.',
    details: 'No longer than SESSION_MAX_DAYS.',
  }),
  sessionMaxDays: fixed('SESSION_MAX_DAYS', wholeNumber(1, MAX_DAYS), {
    section: 'Sessions',
    default: '30',
    example: '30',
    description: 'A session ends this many days after sign-in, used or not. A remembered session has no other end.',
    details: 'Up to 3650.',
  }),
  /** How many sessions may be live at once. */
  sessionMaxLive: fixed('SESSION_MAX_LIVE', wholeNumber(1, 100_000), {
    section: 'Sessions',
    default: '100',
    example: '100',
    description: 'How many sessions may be live at once. Beyond it, the least recently used one ends.',
  }),
  /** How recent a sign-in must be for what is marked fresh. */
  stepUpMinutes: fixed('STEP_UP_MINUTES', wholeNumber(1, 24 * 60), {
    section: 'Sessions',
    default: '15',
    example: '15',
    description: 'How many minutes ago the password may have been entered for what needs a fresh sign-in.',
    details: 'Creating an API token is an example.',
  }),
  cookieName: fixed('COOKIE_NAME', CookieName, {
    section: 'Sessions',
    default: DEFAULT_COOKIE_NAME,
    example: DEFAULT_COOKIE_NAME,
    description: "The session cookie's name. With an https PUBLIC_URL, `__Host-` goes before it.",
    details: 'Change it if two servers run on one host name, or under one COOKIE_DOMAIN.',
  }),
  /** The domain whose subdomains get the pass cookie, without a leading dot. Null for none. */
  cookieDomain: open('COOKIE_DOMAIN', CookieDomain, {
    section: 'Sessions',
    example: 'example.com',
    description: 'The domain whose subdomains forward-auth protects. It needs an https PUBLIC_URL under it.',
    details:
      'With example.com, forward-auth protects photos.example.com: browsers that sign in carry a second cookie to all ' +
      "subdomains, valid at forward-auth and nowhere else. If left out, it protects applications on PUBLIC_URL's own host. " +
      'A domain under which strangers have names, such as co.uk or duckdns.org, is refused.',
  }),
  /** Origins other than publicUrl's, spelled as browsers send them. */
  allowedOrigins: fixed('ALLOWED_ORIGINS', AllowedOrigins, {
    section: 'Where it listens',
    default: '',
    example: 'https://app.example.com,http://localhost:5173',
    description: 'Other origins whose pages may call the API with the cookie, with commas between them.',
    details: 'For example https://app.example.com,http://localhost:5173. "*" is refused.',
  }),
  /** Addresses, networks (CIDR) and the word `private`: the proxies whose X-Forwarded-* headers are trusted. */
  trustedProxies: fixed('TRUSTED_PROXIES', TrustedProxies, {
    section: 'Where it listens',
    default: '',
    example: '127.0.0.1,10.0.0.0/8',
    description:
      'The proxies whose `X-Forwarded-*` headers are trusted: addresses, networks (`10.0.0.0/8`) or `private`, with ' +
      'commas between them.',
    details: '"private" is loopback and all private networks. Nobody is trusted by default.',
  }),
  databaseUrl: secret('DATABASE_URL', DatabaseUrl, {
    section: 'Data',
    default: 'sqlite:data/backchannel.db',
    example: 'sqlite:/var/lib/backchannel/backchannel.db',
    description:
      '`sqlite:PATH`, which follows DATA_DIR if left out, or `postgresql://USER:PASSWORD@HOST:5432/DATABASE` for ' +
      '[several instances](docs/postgresql.md).',
    details: 'PostgreSQL needs SECRET_KEY.',
  }),
  /** Failed attempts before a source has to wait. */
  loginMaxFailures: fixed('LOGIN_MAX_FAILURES', wholeNumber(1, 100), {
    section: 'The password',
    default: '5',
    example: '5',
    description: 'After this many wrong passwords in a row, a source has to wait.',
    details:
      'It waits half a minute at first, and twice as long after each further one. A browser that has signed in before is ' +
      'counted on its own.',
  }),
  /** The longest wait of a source, and how long its failures are remembered. */
  loginWindowMinutes: fixed('LOGIN_WINDOW_MINUTES', wholeNumber(1, 24 * 60), {
    section: 'The password',
    default: '15',
    example: '15',
    description: 'The longest wait of a source, in minutes, and how long after that its failures are remembered.',
  }),
  /** For new hashes, 10 to 20. */
  bcryptCost: fixed(
    'BCRYPT_COST',
    wholeNumber(10, 20, {
      below: ': below 10 a stolen hash is too quick to guess against',
      above: ': above 20 each sign-in would take minutes',
    }),
    {
      section: 'The password',
      default: '12',
      example: '12',
      description: 'The cost of new hashes, 10 to 20. Each step doubles the time of a sign-in, and of each guess.',
    },
  ),
  eventRetentionDays: fixed('EVENT_RETENTION_DAYS', wholeNumber(1, MAX_DAYS), {
    section: 'Data',
    default: '365',
    example: '365',
    description: 'Events, such as sign-ins and failures, are deleted after this many days.',
  }),
  operatorName: fixed('OPERATOR_NAME', OperatorName, {
    section: 'Sessions',
    default: 'operator',
    example: 'alice',
    description: "The operator's name for applications behind forward-auth, in the header `Remote-User`.",
  }),
  operatorEmail: open('OPERATOR_EMAIL', OperatorEmail, {
    section: 'Sessions',
    example: 'alice@example.com',
    description: "The operator's address, in the header `Remote-Email`. If left out, there is no such header.",
  }),
  docs: fixed('DOCS', oneOf(['public', 'login', 'off']), {
    section: 'Docs and logs',
    default: 'public',
    example: 'login',
    description:
      'Who sees `/docs`, `/redoc` and `/openapi.json`: `public` (everybody), `login` (whoever is signed in; others are ' +
      'sent to `/login`) or `off` (nobody).',
  }),
  /** Where metrics are. Null if they are off, 0 for any free port. */
  metricsPort: open('METRICS_PORT', wholeNumber(0, MAX_PORT), {
    section: 'Docs and logs',
    example: '9464',
    description:
      '[Metrics](docs/operations.md#what-to-watch) for Prometheus at `/metrics`, on a port of their own. Off unless set.',
  }),
  metricsHost: fixed('METRICS_HOST', Host, {
    section: 'Docs and logs',
    default: '127.0.0.1',
    example: '127.0.0.1',
    description: 'The address that METRICS_PORT listens on. Whoever reaches it can read the metrics.',
  }),
  logLevel: fixed('LOG_LEVEL', oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']), {
    section: 'Docs and logs',
    default: 'info',
    example: 'debug',
    description: 'How much is logged: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
  }),
  logFormat: open('LOG_FORMAT', oneOf(['pretty', 'json']), {
    section: 'Docs and logs',
    default: 'pretty',
    example: 'json',
    description:
      '`pretty` for people, `json` for machines. If left out, it is `pretty` on a terminal and `json` elsewhere.',
  }),
};

export type Field = keyof typeof table;

/** The settings' values, with defaults filled in. */
export type Values = { readonly [F in keyof typeof table]: z.output<(typeof table)[F]['schema']> };

/** Every setting, in the README's order. The secret ones may also be given as `NAME_FILE`. */
export const settings: readonly Setting[] = Object.values(table);

/** All variables that are read. */
export const knownNames: readonly string[] = settings.flatMap(({ name, secret }) =>
  secret ? [name, `${name}_FILE`] : [name],
);

/** The setting that a variable sets, directly or as `NAME_FILE`. */
export const settingOf = (variable: string): Setting | undefined =>
  settings.find(({ name, secret }) => variable === name || (secret && variable === `${name}_FILE`));

/** A whole line that works, for problem lines. */
export const exampleLine = (name: string): string => `${name}=${settingOf(name)?.example ?? ''}`;
