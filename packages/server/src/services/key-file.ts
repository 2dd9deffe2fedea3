// The generated SECRET_KEY and the file it is kept in: `secret.key` in the data folder. It knows nothing of what is signed.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../error-code.ts';

/** SECRET_KEY or its file cannot be used. The message is one sentence that says what to do. */
export class SecretKeyError extends Error {
  override readonly name = 'SecretKeyError';
}

/** A new SECRET_KEY: 256 random bits, in base64url. */
export const makeSecretKey = (): string => randomBytes(32).toString('base64url');

/**
 * Reads `secret.key` in the data folder. If it does not exist, it is created with mode 0600. The file appears complete or not
 * at all, so of two processes that start together, both use the key of the first.
 * @throws SecretKeyError if the file is empty or too short: a new key would silently end every session.
 */
export function loadSecretKey(dataDir: string): string {
  const file = join(dataDir, 'secret.key');
  const existing = readKeyFile(file);
  if (existing !== null) return existing;
  createKeyFile(file);
  const created = readKeyFile(file);
  if (created !== null) return created;
  throw new SecretKeyError(`SECRET_KEY: ${file} was deleted while the server started; start it again.`);
}

function readKeyFile(file: string): string | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw new SecretKeyError(`SECRET_KEY: ${file} cannot be read (${error instanceof Error ? error.message : error}).`);
  }
  if (text.length >= 32) return text;
  throw new SecretKeyError(
    `SECRET_KEY: ${file} is ${text === '' ? 'empty' : 'shorter than 32 characters'}; restore it from a backup, ` +
      'or delete it to have a new one made (that signs everyone out).',
  );
}

/**
 * Replaces the key file by the key of a backup, which the restored cookies need. A different key is kept beside it, under a
 * name that ends in `stamp`.
 * @throws SecretKeyError
 */
export function restoreSecretKey(dataDir: string, secretKey: string, { stamp }: { stamp: string }): void {
  const file = join(dataDir, 'secret.key');
  const exists = existsSync(file);
  const draft = draftKeyFile(file, secretKey);
  try {
    if (exists && readFileSync(file, 'utf8').trim() === secretKey) return;
    // A rename, not a second link: some file systems have no links.
    if (exists) renameSync(file, `${file}.replaced-${stamp}`);
    renameSync(draft, file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new SecretKeyError(`SECRET_KEY: ${file} cannot be replaced: ${reason}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}

function draftKeyFile(file: string, secretKey: string): string {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    const handle = openSync(draft, 'wx', 0o600);
    try {
      writeSync(handle, `${secretKey}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    return draft;
  } catch (error) {
    rmSync(draft, { force: true });
    const reason = error instanceof Error ? error.message : error;
    throw new SecretKeyError(`SECRET_KEY: ${file} cannot be made: ${reason}`, { cause: error });
  }
}

function createKeyFile(file: string): void {
  const draft = draftKeyFile(file, makeSecretKey());
  try {
    linkSync(draft, file);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
