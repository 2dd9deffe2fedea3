// The connection to the database, encrypted: what sslmode promises, against a server with a certificate of our own making.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseDatabaseUrl } from '../../src/config/config.ts';
import { openStore } from '../../src/store/database.ts';
import { openTestDatabase } from '../support/harness.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'backchannel-tls-'));
const at = (name: string) => join(folder, name);

/** A key, and a certificate for it: of an authority, or signed by one for a host name. */
function makeCertificate(name: string, options: { by?: string; host?: string } = {}): void {
  const subject = ['-subj', `/CN=${options.host ?? name}`];
  const signer = options.by ? ['-CA', at(`${options.by}.pem`), '-CAkey', at(`${options.by}.key`)] : [];
  const extension = options.host ? ['-addext', `subjectAltName=DNS:${options.host}`] : [];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      ...subject,
    ].concat(signer, extension, ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)]),
    { stdio: 'pipe' },
  );
}

/** PostgreSQL behind TLS, as its protocol begins it (SSLRequest, "53.2.10 SSL Session Encryption"). */
async function openEncrypted(to: { host: string; port: number }, certificate: string) {
  const secureContext = createSecureContext({
    cert: readFileSync(at(`${certificate}.pem`)),
    key: readFileSync(at(`${certificate}.key`)),
    ca: readFileSync(at('authority.pem')),
  });
  const sockets = new Set<Socket>();
  /** The names on the certificates that clients have shown. */
  const shown: string[] = [];
  const server = createServer((near) => {
    sockets.add(near.on('error', () => {}).on('close', () => sockets.delete(near)));
    near.once('data', () => {
      near.write('S');
      const plain = new TLSSocket(near, {
        isServer: true,
        secureContext,
        requestCert: true,
        rejectUnauthorized: false,
      });
      const far = connect(to.port, to.host);
      plain.on('secure', () => {
        const { subject } = plain.getPeerCertificate();
        if (subject) shown.push(String(subject.CN));
      });
      for (const each of [plain, far])
        each.on('error', () => {}).on('close', () => [plain, far].map((one) => one.destroy()));
      plain.pipe(far).pipe(plain);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    shown,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

describe.skipIf(!hasOpenssl)('an encrypted connection (needs openssl)', () => {
  let database: Awaited<ReturnType<typeof openTestDatabase>>;
  beforeAll(async () => {
    database = await openTestDatabase();
    makeCertificate('authority');
    makeCertificate('stranger');
    makeCertificate('good', { by: 'authority', host: 'localhost' });
    makeCertificate('elsewhere', { by: 'authority', host: 'db.example.com' });
    makeCertificate('client', { by: 'authority' });
  });
  afterAll(() => database?.[Symbol.asyncDispose]());

  /** Null where a store opens over it, else what is said. */
  const tryOver = async (certificate: string, parameters: string) => {
    const [host = { host: '', port: 0 }] = database.address.hosts;
    await using encrypted = await openEncrypted(host, certificate);
    const url = new URL(database.url);
    const address = parseDatabaseUrl(
      `postgresql://${url.username}:${url.password}@localhost:${encrypted.port}${url.pathname}?${parameters}`,
    );
    if ('problem' in address) throw new Error(address.problem);
    try {
      await using store = await openStore(address);
      expect(await store.missing()).toEqual([]);
      return { refusal: null, shown: encrypted.shown };
    } catch (error) {
      return { refusal: String(error), shown: encrypted.shown };
    }
  };
  const authority = `sslrootcert=${at('authority.pem')}`;

  test.each([
    ['require: any certificate', 'stranger', 'sslmode=require'],
    ['require, with an authority', 'elsewhere', `sslmode=require&${authority}`],
    ['verify-ca: signed by that one, for any host', 'elsewhere', `sslmode=verify-ca&${authority}`],
    ['verify-full: signed by that one, for this host', 'good', `sslmode=verify-full&${authority}`],
  ])('%s', async (_, certificate, parameters) => {
    expect((await tryOver(certificate, parameters)).refusal).toBeNull();
  });

  test.each([
    ['require, with an authority, signed by another one', 'stranger', `sslmode=require&${authority}`],
    ['verify-ca, and another has signed it', 'stranger', `sslmode=verify-ca&${authority}`],
    ['verify-full, and it is for another host', 'elsewhere', `sslmode=verify-full&${authority}`],
    ['verify-full, and nobody known has signed it', 'good', 'sslmode=verify-full'],
  ])('%s, is refused in one sentence', async (_, certificate, parameters) => {
    const { refusal } = await tryOver(certificate, parameters);
    expect(refusal).toMatch(
      /^DatabaseUrlError: DATABASE_URL: the certificate of postgresql:\/\/[^\n]+ is not trusted \([^\n]+$/,
    );
    expect(refusal).not.toContain(new URL(database.url).password);
  });

  test('channel_binding=require, and the server behind it offers none, is refused before it learns of the password', async () => {
    const { refusal } = await tryOver('good', `sslmode=verify-full&${authority}&channel_binding=require`);
    expect(refusal).toMatch(/^DatabaseUrlError: DATABASE_URL: [^\n]+ offers no channel binding[^\n]+$/);
  });

  test('channel_binding=prefer, and the server behind it offers none, goes on without', async () => {
    expect((await tryOver('good', `sslmode=verify-full&${authority}&channel_binding=prefer`)).refusal).toBeNull();
  });

  test('a client certificate is presented to the server', async () => {
    const own = `sslcert=${at('client.pem')}&sslkey=${at('client.key')}`;
    const { refusal, shown } = await tryOver('good', `sslmode=verify-full&${authority}&${own}`);
    expect(refusal).toBeNull();
    expect(new Set(shown)).toEqual(new Set(['client']));
  });
});
