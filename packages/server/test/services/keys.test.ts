// Runs on one engine: the key file is there on SQLite alone.
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { loadSecretKey, SecretKeyError } from '../../src/services/key-file.ts';
import { createKeyRing } from '../../src/services/keys.ts';

const newFolder = () => mkdtempSync(join(tmpdir(), 'backchannel-keys-'));

test('the key is made at first start, private, and found again', () => {
  const folder = newFolder();
  const key = loadSecretKey(folder);
  expect(Buffer.from(key, 'base64url')).toHaveLength(32);
  expect(loadSecretKey(folder)).toBe(key);
  expect(statSync(join(folder, 'secret.key')).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['secret.key']);
});

test('many starters at once agree on one key', async () => {
  const folder = newFolder();
  const keys = new URL('../../src/services/key-file.ts', import.meta.url).href;
  const code = `import(${JSON.stringify(keys)}).then(({ loadSecretKey }) =>
    require('node:worker_threads').parentPort.postMessage(loadSecretKey(${JSON.stringify(folder)})))`;
  const start = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(code, { eval: true });
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  const made = await Promise.all(Array.from({ length: 6 }, start));
  expect(new Set(made)).toEqual(new Set([readFileSync(join(folder, 'secret.key'), 'utf8').trim()]));
});

test.each([
  ['empty', ''],
  ['only white space', ' \n'],
  ['cut short', 'abc\n'],
])('a key file that is %s is an error and is left as it is', (_name, text) => {
  const folder = newFolder();
  writeFileSync(join(folder, 'secret.key'), text);
  expect(() => loadSecretKey(folder)).toThrow(SecretKeyError);
  expect(readFileSync(join(folder, 'secret.key'), 'utf8')).toBe(text);
});

test('a token is opened by every key of the ring, until it ends', async () => {
  let now = Date.now();
  const clock = () => now;
  const [old, fresh] = ['o'.repeat(32), 'f'.repeat(32)];
  const token = await createKeyRing([old], clock).sign('session', 'secret', now + 60_000);
  expect(await createKeyRing([fresh, old], clock).open('session', token)).toBe('secret');
  expect(await createKeyRing([fresh], clock).open('session', token)).toBeNull();
  now += 61_000;
  expect(await createKeyRing([old], clock).open('session', token)).toBeNull();
});

test('a ring that has opened a token opens it again, but not past its end, as another kind, or changed', async () => {
  let now = Date.now();
  const ring = createKeyRing(['k'.repeat(32)], () => now);
  const token = await ring.sign('session', 'secret', now + 60_000);
  for (const time of ['first', 'second']) expect(await ring.open('session', token), time).toBe('secret');
  expect(await ring.open('pass', token)).toBeNull();
  expect(await ring.open('device', token)).toBeNull();
  expect(await ring.open('session', `${token}x`)).toBeNull();
  expect(await ring.open('session', token.slice(0, -2))).toBeNull();
  now += 61_000;
  expect(await ring.open('session', token)).toBeNull();
});

test.each(['', '.', '..', 'a.b.c', 'é', 'eyJhbGciOiJub25lIn0.e30.', 'x'.repeat(1024)])(
  'garbage such as %j opens nothing and throws nothing',
  async (garbage) => {
    expect(await createKeyRing(['k'.repeat(32)], Date.now).open('session', garbage)).toBeNull();
  },
);
