/**
 * The bcrypt hash in MASTER_PASSWORD_HASH: its two forms, and what probably damaged one that is incomplete. It runs no
 * bcrypt, and a diagnosis contains no part of the value.
 */
import { commandLine } from './installation.ts';

const bcryptHash = /^\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;

const eaten =
  'did Docker Compose or the shell eat the `$`? Put the hash in single quotes (in compose.yaml: every `$` as `$$`), ' +
  `or use the form without \`$\` that \`${commandLine} hash --base64\` prints`;

const plain = 'put a plain password in MASTER_PASSWORD';

/** True for a raw bcrypt hash (`$2a$`, `$2b$` or `$2y$`) of any cost from 4 to 31. */
export function isBcryptHash(value: string): boolean {
  return bcryptHash.test(value);
}

/**
 * Reads a raw hash or one in base64. It ignores white space around it, the line breaks that `base64` adds every 76
 * characters, and a newline that was encoded along with it (`echo '…' | base64`).
 * @returns the raw hash, or null if the value is none
 */
export function parseBcryptHash(value: string): string | null {
  const raw = value.trim();
  if (isBcryptHash(raw)) return raw;
  const packed = raw.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) return null;
  const decoded = Buffer.from(packed, 'base64')
    .toString('latin1')
    .replace(/\r?\n$/, '');
  return isBcryptHash(decoded) ? decoded : null;
}

/** What is probably wrong with a value that parseBcryptHash refused. */
export function diagnoseHash(value: string): string {
  const text = value.trim().replace(/^(['"])(.*)\1$/s, '$2');
  const whole = (changed: string) => parseBcryptHash(changed) !== null;
  const line = /^(?:export[ \t]+)?MASTER_PASSWORD_HASH[ \t]*=[ \t]*(['"]?)(.*)\1$/s.exec(text);
  if (line && whole(line[2] ?? '')) {
    return `is a whole line of .env: only what follows the = is wanted, as \`${commandLine} hash\` prints it`;
  }
  if (whole(text)) return 'has its quotes in the value (`docker run --env-file` keeps them): leave them out';
  if (whole(text.replaceAll('$$', '$'))) return 'has every `$` doubled, which only compose.yaml wants';
  if (whole(text.replace(/^[^:]*:/, '')))
    return 'has a user name before the hash: only what follows the colon is wanted';
  if (/^\$2[aby]\$/.test(text) && text.length > 60) return 'is longer than a bcrypt hash, which has 60 characters';
  if (/^\$(?!2)[a-z0-9-]+\$/.test(text))
    return `is a hash, but not of bcrypt; \`${commandLine} hash\` makes the right one`;
  if (text.startsWith('JDJ')) return 'begins like the base64 form of a bcrypt hash, but is cut short or changed';
  if (remainders.some((remainder) => remainder.test(text))) return `is no bcrypt hash: ${eaten}`;
  // A damaged hash can look like a password, and the reverse. Then the diagnosis mentions both.
  if (/^[./A-Za-z0-9]{1,55}$/.test(text)) return `is no bcrypt hash: ${plain}. If it was a hash, ${eaten}`;
  return `is no bcrypt hash: ${plain}`;
}

/** What is left of `$2b$12$name/rest` after something expanded its `$…` as variables. */
const remainders = [
  // Docker Compose: names don't begin with a digit, so only `$name` disappears.
  /^\$2[aby]?(?:\$|$)/,
  // Tools that expand `$2b` and `$12` leave `/rest`. A shell expands `$2` and `$1` and leaves `b2/rest`.
  /^(?:[aby]\d)?\$?[./][./A-Za-z0-9]*$/,
  // A shell, if the salt begins with a digit: nearly all of it is left.
  /^[aby]\d[./A-Za-z0-9]{20,53}$/,
];
