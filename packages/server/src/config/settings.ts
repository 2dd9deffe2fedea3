/**
 * The table of settings: names, defaults, examples that work, and what must hold between two of them. It reads neither
 * the environment nor a file.
 */
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { isUnder } from './address.ts';
import {
  AllowedOrigins,
  CookieDomain,
  CookieName,
  DatabaseUrl,
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

/** What is to be told about a setting, for docs, `.env.example` and problem lines. */
export interface SettingFacts {
  /** Never shown, and may also be given as NAME_FILE. */
  secret: boolean;
  /** What holds on a fresh machine; empty where nothing is set. */
  default: string;
  /** A value that works. A secret's is made anew in each process: one that is printed for all would be no secret. */
  example: string;
}

const facts = z.registry<SettingFacts>();

/** A setting with one default, which is parsed as if it had been written. */
function fixed<T>(schema: z.ZodType<T, string>, fallback: string, example: string) {
  return schema.prefault(fallback).register(facts, { secret: false, default: fallback, example });
}

/** A setting whose absence means something: its default follows from other settings, or there is none. */
function open<T>(schema: z.ZodType<T, string>, fallback: string, example: string) {
  return schema.optional().register(facts, { secret: false, default: fallback, example });
}

function secret<T>(schema: z.ZodType<T, string>, fallback: string, example: string) {
  return schema.optional().register(facts, { secret: true, default: fallback, example });
}

const mostDays = 3650;

/** Hash of a random password that nobody kept: who copies this example is locked out, not broken into. */
const strangersHash = 'JDJiJDEyJDNJdllvL1lTOGRTUzgzTFFmeWFsTi5JaUpEQUcxYTFCR3Ivc3BlMHF4MzM2MXUwd3Q2Z1Rt';

/** The environment as text in, as values out. Issues carry our own words, and never a secret. */
export const Environment = z
  .object({
    HOST: fixed(Host, '127.0.0.1', '127.0.0.1'),
    PORT: fixed(wholeNumber(0, 65_535), '8000', '8000'),
    PUBLIC_URL: open(PublicUrl, 'http://localhost:8000', 'https://auth.example.com'),
    DATA_DIR: fixed(Path, 'data', '/var/lib/backchannel'),
    SECRET_KEY: secret(SecretKeys, '', randomBytes(32).toString('base64url')),
    MASTER_PASSWORD: secret(PlainPassword, '', randomBytes(15).toString('base64url')),
    MASTER_PASSWORD_HASH: secret(PasswordHash, '', strangersHash),
    SESSION_EXPIRE_MINUTES: fixed(wholeNumber(1, mostDays * 24 * 60), '60', '60'),
    SESSION_MAX_DAYS: fixed(wholeNumber(1, mostDays), '30', '30'),
    SESSION_MAX_LIVE: fixed(wholeNumber(1, 100_000), '100', '100'),
    STEP_UP_MINUTES: fixed(wholeNumber(1, 24 * 60), '15', '15'),
    COOKIE_NAME: fixed(CookieName, 'backchannel_session', 'backchannel_session'),
    COOKIE_DOMAIN: open(CookieDomain, '', 'example.com'),
    ALLOWED_ORIGINS: open(AllowedOrigins, '', 'https://app.example.com,http://localhost:5173'),
    TRUSTED_PROXIES: open(TrustedProxies, '', '127.0.0.1,10.0.0.0/8'),
    DATABASE_URL: secret(DatabaseUrl, 'sqlite:data/backchannel.db', 'sqlite:/var/lib/backchannel/backchannel.db'),
    LOGIN_MAX_FAILURES: fixed(wholeNumber(1, 100), '5', '5'),
    LOGIN_WINDOW_MINUTES: fixed(wholeNumber(1, 24 * 60), '15', '15'),
    BCRYPT_COST: fixed(
      wholeNumber(10, 20, {
        below: ': below 10 a stolen hash is too quick to guess against',
        above: ': above 20 each sign-in would take minutes',
      }),
      '12',
      '12',
    ),
    EVENT_RETENTION_DAYS: fixed(wholeNumber(1, mostDays), '365', '365'),
    OPERATOR_NAME: fixed(OperatorName, 'operator', 'alice'),
    OPERATOR_EMAIL: open(OperatorEmail, '', 'alice@example.com'),
    DOCS: fixed(oneOf(['public', 'login', 'off']), 'public', 'login'),
    METRICS_PORT: open(wholeNumber(0, 65_535), '', '9464'),
    METRICS_HOST: fixed(Host, '127.0.0.1', '127.0.0.1'),
    LOG_LEVEL: fixed(oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']), 'info', 'debug'),
    LOG_FORMAT: open(oneOf(['pretty', 'json']), 'pretty', 'json'),
  })
  .refine((env) => env.SESSION_EXPIRE_MINUTES <= env.SESSION_MAX_DAYS * 24 * 60, {
    path: ['SESSION_EXPIRE_MINUTES'],
    error: 'is longer than SESSION_MAX_DAYS, so that no session could ever be idle for so long: lower it or raise that',
    // Also when other settings are wrong: the list of problems is to be complete.
    when: ({ issues }) => !issues.some((issue) => String(issue.path?.[0]).startsWith('SESSION_')),
  })
  .refine((env) => env.METRICS_PORT === undefined || env.METRICS_PORT === 0 || env.METRICS_PORT !== env.PORT, {
    path: ['METRICS_PORT'],
    error: 'is PORT, too: metrics have a port of their own',
    when: ({ issues }) => !issues.some((issue) => ['PORT', 'METRICS_PORT'].includes(String(issue.path?.[0]))),
  })
  .refine((env) => env.DATABASE_URL?.engine !== 'postgresql' || env.SECRET_KEY !== undefined, {
    path: ['SECRET_KEY'],
    error: 'is not set, and with PostgreSQL it has to be: all instances sign with the same key',
    when: ({ issues }) => !issues.some((issue) => ['DATABASE_URL', 'SECRET_KEY'].includes(String(issue.path?.[0]))),
  })
  .refine((env) => env.COOKIE_DOMAIN === undefined || isHttpsUnder(env.PUBLIC_URL, env.COOKIE_DOMAIN), {
    path: ['COOKIE_DOMAIN'],
    error: 'needs PUBLIC_URL to be https and at this domain or under it, such as PUBLIC_URL=https://auth.example.com',
    when: ({ issues }) => !issues.some((issue) => ['COOKIE_DOMAIN', 'PUBLIC_URL'].includes(String(issue.path?.[0]))),
  });

function isHttpsUnder(publicUrl: string | undefined, domain: string): boolean {
  if (publicUrl === undefined) return false;
  const { protocol, hostname } = new URL(publicUrl);
  return protocol === 'https:' && isUnder(hostname, domain);
}

export type SettingName = keyof typeof Environment.shape;

const names = Object.keys(Environment.shape) as SettingName[];

/** Every setting, in the order of the docs. The secret ones may also be given as `NAME_FILE`. */
export const settings: readonly (SettingFacts & { name: SettingName })[] = names.map((name) => {
  const about = facts.get(Environment.shape[name]);
  if (about === undefined) throw new Error(`the setting ${name} has no facts`);
  return { name, ...about };
});

/** A whole line that works, for problem lines. */
export function exampleLine(name: string): string {
  return `${name}=${settings.find((setting) => setting.name === name)?.example ?? ''}`;
}
