/**
 * How the text of each setting becomes a value, or a problem in our own words. It knows no defaults and resolves no path.
 * A problem with a secret never repeats any of it.
 */
import { isIP } from 'node:net';
import * as z from 'zod';
import { isHost, isNetwork, parseOrigin } from './address.ts';
import { diagnoseHash, isBcryptHash, parseBcryptHash } from './bcrypt-hash.ts';
import { type PostgresAddress, parsePostgresUrl } from './postgres-url.ts';
import { quoted } from './problem.ts';
import { isPublicSuffix } from './public-suffix.ts';

/** Plain digits only: "1e3", " 5", "5.5", "+5" and "007" are more likely mistakes than numbers. */
export function wholeNumber(min: number, max: number, why: { below?: string; above?: string } = {}) {
  const wanted = (input: unknown) => `${quoted(input)} is not a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^(?:0|[1-9]\d{0,14})$/, { error: (issue) => `${wanted(issue.input)}, in plain digits` })
    .transform(Number)
    .pipe(
      z
        .number()
        .min(min, { error: (issue) => wanted(issue.input) + (why.below ?? '') })
        .max(max, { error: (issue) => wanted(issue.input) + (why.above ?? '') }),
    );
}

export function oneOf<const T extends string>(values: readonly T[]) {
  return z.enum(values, { error: (issue) => `${quoted(issue.input)} is none of ${values.join(', ')}` });
}

export const Host = z.string().refine(isHost, {
  error: (issue) => `${quoted(issue.input)} is no IP address or host name (without http://, brackets and port)`,
});

export const PublicUrl = z.string().transform((value, context) => {
  const parsed = parseOrigin(value.replace(/(?<=[^/])\/$/, ''));
  if ('origin' in parsed) return parsed.origin;
  context.addIssue({ code: 'custom', message: `${parsed.problem}; only scheme, host and port are wanted` });
  return z.NEVER;
});

export const AllowedOrigins = z.string().transform((value, context): readonly string[] => {
  const origins = new Set<string>();
  for (const entry of listed(value).filter((each) => each !== '')) {
    const parsed = parseAllowedOrigin(entry);
    if ('origin' in parsed) origins.add(parsed.origin);
    else context.addIssue({ code: 'custom', message: parsed.problem });
  }
  return [...origins];
});

function parseAllowedOrigin(entry: string): ReturnType<typeof parseOrigin> {
  if (entry === '*') return { problem: '* is refused: any site could then act as the operator; list each origin' };
  if (entry.toLowerCase() === 'null') {
    return { problem: 'null is refused: sandboxed frames and local files of anybody send it' };
  }
  return parseOrigin(entry);
}

export const DEFAULT_COOKIE_NAME = 'backchannel_session';

/** The other cookies that BackChannel sets. */
const companionCookies = ['backchannel_device', 'backchannel_pass'];

export const CookieName = z
  .string()
  .regex(/^[!#$%&'*+\-.^_`|~A-Za-z0-9]{1,64}$/, {
    error: (issue) =>
      `${quoted(issue.input)} is no cookie name: 1 to 64 letters, digits or !#$%&'*+-.^_\`|~ (RFC 6265)`,
  })
  // Newer browsers also reserve `__Http-` and `__Host-Http-` (draft-ietf-httpbis-rfc6265bis).
  .refine((name) => !/^__(?:Host|Secure|Http)-/i.test(name), {
    error: 'has a prefix already; __Host- is put before it when PUBLIC_URL is https',
  })
  .refine((name) => !companionCookies.includes(name.toLowerCase()), {
    error: (issue) => `${quoted(issue.input)} is the name of another of BackChannel's cookies`,
  });

/** The parent domain of applications behind forward-auth, spelled as browsers do, without a leading dot. */
export const CookieDomain = z.string().transform((value, context) => {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const parsed = parseOrigin(`https://${value.replace(/^\./, '')}`);
  if (!('origin' in parsed) || /[:@/]/.test(value)) {
    return refuse(`${quoted(value)} is no domain (without https://, port and path)`);
  }
  const domain = new URL(parsed.origin).hostname;
  if (isIP(domain) !== 0) return refuse(`${domain} is an IP address, and those have no subdomains`);
  if (!domain.includes('.')) return refuse(`${quoted(domain)} is a single label, for which browsers keep no cookie`);
  if (isPublicSuffix(domain)) {
    return refuse(
      `${domain} is a public suffix, under which strangers have names and for which browsers keep no cookie: use your own ` +
        `domain, such as yours.${domain}`,
    );
  }
  return domain;
});

/** Text that passes through an HTTP header unchanged (RFC 9110, 5.5). */
export const OperatorName = z.string().regex(/^[!-~](?:[ -~]{0,62}[!-~])?$/, {
  error: (issue) =>
    `${quoted(issue.input)} is no name of 1 to 64 printable ASCII characters, none of them a space at its ends`,
});

export const OperatorEmail = z.email({ error: (issue) => `${quoted(issue.input)} is no email address` }).max(254, {
  error: 'is longer than the 254 characters of an email address',
});

export const SecretKeys = z.string().transform((value, context): readonly string[] => {
  const keys = listed(value);
  keys.forEach((key, index) => {
    const which = keys.length === 1 ? 'it' : `key ${index + 1} of ${keys.length}`;
    const length = [...key].length;
    if (/^(?:export\s+)?SECRET_KEY\s*=/.test(key)) {
      context.addIssue({
        code: 'custom',
        message: `${which} is a whole line of .env: only what follows the = is wanted`,
      });
    } else if (length < 32) {
      context.addIssue({ code: 'custom', message: `needs at least 32 characters, ${which} has ${length}` });
    } else if (/\s/u.test(key)) {
      // The output of another program may have ended up here, such as a question that npx asks.
      context.addIssue({
        code: 'custom',
        message: `${which} has white space in it, which no key has that BackChannel makes`,
      });
    } else if (isRepetitive(key)) {
      context.addIssue({ code: 'custom', message: `${which} is a short pattern that repeats, which is easy to guess` });
    } else if (keys.indexOf(key) < index) {
      context.addIssue({ code: 'custom', message: `${which} is the same as key ${keys.indexOf(key) + 1}` });
    }
  });
  return keys;
});

/** Whether a text repeats a pattern of at most eight characters. */
function isRepetitive(text: string): boolean {
  for (let period = 1; period <= 8; period++) if (text.slice(period) === text.slice(0, -period)) return true;
  return false;
}

export const PlainPassword = z
  .string()
  .refine((value) => Buffer.byteLength(value) <= 72, {
    error: (issue) => `has ${Buffer.byteLength(String(issue.input))} bytes in UTF-8, and bcrypt reads no more than 72`,
  })
  .refine((value) => !/[\r\n]/.test(value), { error: 'has a line break in it: a password is one line' })
  .refine((value) => !value.includes('\0'), { error: 'has a NUL character, where bcrypt stops reading' })
  .refine((value) => !isBcryptHash(value.trim()), { error: 'is a bcrypt hash: put it in MASTER_PASSWORD_HASH' });

export const PasswordHash = z.string().transform((value, context) => {
  const hash = parseBcryptHash(value);
  if (hash !== null) return hash;
  context.addIssue({ code: 'custom', message: diagnoseHash(value) });
  return z.NEVER;
});

export const Path = z
  .string()
  .refine((value) => !/\p{Cc}/u.test(value), { error: 'has a control character in its path' })
  .refine((value) => !/^~(?:$|\/)/.test(value), { error: '~ is not expanded here: write the whole path' });

/** Where the data is. */
export type DatabaseAddress =
  | { readonly engine: 'sqlite'; readonly file: string }
  | ({ readonly engine: 'postgresql' } & PostgresAddress);

/** `sqlite:PATH` or a postgresql:// URL. The value may contain a password, so no problem repeats any of it. */
export const DatabaseUrl = z.string().transform((value, context): DatabaseAddress => {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  if (/^postgres(?:ql)?:/i.test(value)) {
    const parsed = parsePostgresUrl(value);
    return 'problem' in parsed ? refuse(parsed.problem) : { engine: 'postgresql', ...parsed };
  }
  const file = /^sqlite:(.*)$/is.exec(value)?.[1];
  if (file === undefined) return refuse('is neither of the form sqlite:PATH nor a postgresql:// URL');
  if (file === ':memory:') return refuse('a database in memory would end every session at a restart; name a file');
  if (file === '' || /[/\\]$/.test(file)) return refuse('names no file after sqlite:');
  if (file.startsWith('//'))
    return refuse('begins with sqlite://; an absolute path is sqlite:/PATH, a relative sqlite:PATH');
  if (/^file:|\?/.test(file)) return refuse('has a file: URI or options after ?; only a path may follow sqlite:');
  const path = Path.safeParse(file);
  if (!path.success) return refuse(path.error.issues[0]?.message ?? 'names no file');
  return { engine: 'sqlite', file };
});

/** Addresses and networks (CIDR), or `private` for loopback and all private networks. */
export const TrustedProxies = z.string().transform((value, context): readonly string[] => {
  const entries = listed(value).filter((each) => each !== '');
  for (const entry of entries.filter((each) => each !== 'private' && !isNetwork(each))) {
    const message = `${quoted(entry)} is no address, no network such as 10.0.0.0/8, and not the word private`;
    context.addIssue({ code: 'custom', message });
  }
  return entries;
});

function listed(value: string): string[] {
  return value.split(',').map((each) => each.trim());
}
