// What a password may be: what bcrypt can hash, what a new password must be, and what is unwise. It hashes nothing.
import { createRequire } from 'node:module';

/** bcrypt ignores everything after this many bytes, so a longer password would be cut silently. */
export const PASSWORD_MAX_BYTES = 72;
/** The seed's password, for trying things out on a loopback address only. */
export const BUILT_IN_PASSWORD = 'admin123';
const BUILT_IN_IS_KNOWN = `${BUILT_IN_PASSWORD} is the built-in password, which everyone knows.`;
/** The least of a new password, in code points (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 5, 6.2.1). */
export const NEW_PASSWORD_MIN_CHARACTERS = 8;
/** A shorter password gets a warning and is not refused (NIST SP 800-63B-4, 3.1.1.2). Counted in code points. */
const ADVISED_CHARACTERS = 15;

/** Why bcrypt cannot hash this password, or null if it can. */
export function passwordProblem(password: string): string | null {
  if (password.length === 0) return 'The password is empty.';
  if (password.includes('\0')) return 'The password contains a NUL character, where bcrypt would stop reading.';
  // A lone surrogate has no UTF-8 form: every one of them would be hashed as the same replacement character.
  if (!password.isWellFormed()) return 'The password is not valid Unicode.';
  const bytes = Buffer.byteLength(password);
  if (bytes > PASSWORD_MAX_BYTES) {
    return `The password is ${bytes} bytes long in UTF-8; bcrypt reads at most ${PASSWORD_MAX_BYTES}.`;
  }
  return null;
}

/** Why this may not become the master password from now on, or null if it may (OWASP ASVS 5, 6.2.1 and 6.2.4). */
export function newPasswordProblem(password: string): string | null {
  const problem = passwordProblem(password);
  if (problem) return problem;
  if ([...password].length < NEW_PASSWORD_MIN_CHARACTERS) {
    return `A new password needs at least ${NEW_PASSWORD_MIN_CHARACTERS} characters.`;
  }
  return guessable(password);
}

/** What is unwise about a password that works. A short one is not looked up: it has its warning. */
export function passwordWarnings(password: string): string[] {
  const characters = [...password].length;
  if (password === BUILT_IN_PASSWORD) return [BUILT_IN_IS_KNOWN];
  if (characters < ADVISED_CHARACTERS) {
    return [
      `The password has ${characters} character${characters === 1 ? '' : 's'}; a password that is the only factor should have at ` +
        `least ${ADVISED_CHARACTERS} (NIST SP 800-63B-4).`,
    ];
  }
  const guess = guessable(password);
  return guess ? [guess] : [];
}

/** Whether an attacker tries this password first. Case does not matter. */
function guessable(password: string): string | null {
  const lower = password.toLowerCase();
  if (lower === BUILT_IN_PASSWORD) return BUILT_IN_IS_KNOWN;
  if (commonPasswords().includes(lower))
    return 'The password is one of the most common ones, which attackers try first.';
  return null;
}

/** In lower case. Loaded when it is first needed, because a server may never need it. */
function commonPasswords(): readonly string[] {
  const { dictionary } = require('@zxcvbn-ts/language-common') as typeof import('@zxcvbn-ts/language-common');
  return dictionary['passwords-common'];
}

const require = createRequire(import.meta.url);
