// `check-config`: faults that keep a server from starting, and advice for a configuration that works.
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkAddresses } from '@backchannel/server/checks/addresses';
import { checkData } from '@backchannel/server/checks/data';
import { checkDatabase } from '@backchannel/server/checks/database';
import { checkDatabaseUrl } from '@backchannel/server/checks/database-url';
import type { Finding } from '@backchannel/server/checks/finding';
import { checkMetrics } from '@backchannel/server/checks/metrics';
import { checkModes } from '@backchannel/server/checks/modes';
import { checkEffectivePassword } from '@backchannel/server/checks/password';
import { checkProxies } from '@backchannel/server/checks/proxies';
import { checkSecretKey } from '@backchannel/server/checks/secret-key';
import { ConfigError, loadConfig, settings } from '@backchannel/server/config';
import { hashPassword } from '@backchannel/server/password';
import { openStore } from '@backchannel/server/store';
import { afterAll, describe, expect, test } from 'vitest';
import { serverEnv, spawnServer } from './live-server.ts';
import { checkout, type Home, makeHome } from './run.ts';

const password = 'correct horse battery';

/** The texts of one level about one subject. */
const about = (stdout: string, level: string, subject: string) =>
  stdout
    .split('\n')
    .filter((line) => line.startsWith(`${level.padEnd(7)} ${subject}: `))
    .map((line) => line.slice(`${level.padEnd(7)} ${subject}: `.length));

// Shared by the tests that leave nothing behind. Each rule is tested as a function, and their combination as a command.
const home = makeHome({ file: '' });
mkdirSync(join(home.root, 'folder'));
afterAll(() => home[Symbol.dispose]());

const check = (env: Record<string, string>) => home.run(['check-config'], { env });

describe('a faulty configuration', () => {
  test('has one line for each problem, as at the start of the server, and exit code 1', async () => {
    using home = makeHome({ '.env': 'PORT=http\nDOCS=private\nALLOWED_ORIGINS=*\n' });
    const { stdout, stderr, exitCode } = await home.run(['check-config']);
    const expected = problems(home.root);
    expect(expected).toHaveLength(3);
    for (const line of expected) expect(stdout).toContain(`fault   ${line}\n`);
    expect(about(stdout, 'ok', '.env')).toHaveLength(1);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 });
  });

  test('never shows a secret', async () => {
    const { stdout, exitCode } = await check({ SECRET_KEY: 'too-short-a-key', MASTER_PASSWORD_HASH: 'not-a-hash' });
    expect(exitCode).toBe(1);
    expect(stdout).not.toMatch(/too-short|not-a-hash/);
  });

  test('is an object with --json, with the same exit code', async () => {
    using home = makeHome({ '.env': 'PORT=http\n' });
    const { stdout, stderr, exitCode } = await home.run(['check-config', '--json']);
    const { ok, findings, ...rest } = JSON.parse(stdout);
    expect(findings).toContainEqual({
      level: 'fault',
      about: 'PORT',
      text: expect.stringMatching(/Example: PORT=8000$/),
    });
    expect({ ok, rest, stderr, exitCode }).toEqual({ ok: false, rest: {}, stderr: '', exitCode: 1 });
  });

  test('includes a data folder that cannot be created, with the command that fixes it', async () => {
    const { stdout, exitCode } = await check({ DATA_DIR: 'file/data' });
    expect(about(stdout, 'fault', 'DATA_DIR')).toEqual([expect.stringMatching(/sudo chown/)]);
    expect(stdout).toContain(join(home.root, 'file/data'));
    expect(exitCode).toBe(1);
  });

  test('includes a database folder that cannot be created, and a database that is a folder', async () => {
    const unmade = await check({ DATABASE_URL: 'sqlite:file/other/x.db' });
    expect(about(unmade.stdout, 'fault', 'DATABASE_URL')).toHaveLength(1);
    const folder = await check({ DATABASE_URL: 'sqlite:folder' });
    expect(about(folder.stdout, 'fault', 'database')).toEqual([expect.stringMatching(/is not a file/)]);
    expect([unmade.exitCode, folder.exitCode]).toEqual([1, 1]);
  });

  test('includes a stored key that the server would reject', async () => {
    using home = makeHome();
    mkdirSync(join(home.root, 'data'), { mode: 0o700 });
    writeFileSync(join(home.root, 'data/secret.key'), 'short\n');
    const { stdout, exitCode } = await home.run(['check-config']);
    expect(about(stdout, 'fault', 'SECRET_KEY')).toEqual([expect.stringMatching(/shorter than 32 characters/)]);
    expect(exitCode).toBe(1);
  });

  test('includes the example hash, whose password is unknown', async () => {
    const example = settings.find(({ name }) => name === 'MASTER_PASSWORD_HASH')?.example ?? '';
    const { stdout, exitCode } = await check({ MASTER_PASSWORD_HASH: example });
    expect(about(stdout, 'fault', 'MASTER_PASSWORD_HASH')).toEqual([expect.stringMatching(/is the example/)]);
    expect(exitCode).toBe(1);
  });
});

test('a folder without `.env` has no fault, and the check creates nothing', async () => {
  using home = makeHome();
  const before = readdirSync(home.root);
  const { stdout, stderr, exitCode } = await home.run(['check-config']);
  expect(stdout).not.toMatch(/^fault/m);
  expect(about(stdout, 'ok', '.env')).toEqual([`${join(home.root, '.env')} does not exist, and is not required`]);
  expect(about(stdout, 'advice', 'password')).toEqual([expect.stringMatching(/admin123/)]);
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  expect(readdirSync(home.root)).toEqual(before);
});

describe('the password', () => {
  const texts = async (env: Record<string, string>, passwordHash: string | null = null) =>
    textsOf(await checkEffectivePassword(load(env), { passwordHash }));

  test('in plain text gets advice to hash it, and to make it longer', async () => {
    const short = await texts({ MASTER_PASSWORD: 'short' });
    expect(short).toMatch(/^ok password: MASTER_PASSWORD is in effect\n/);
    expect(short).toMatch(/^advice MASTER_PASSWORD: .*at least 8 characters/m);
    expect(await texts({ MASTER_PASSWORD: 'a short one' })).toMatch(/^advice MASTER_PASSWORD: .*11 characters/m);
    expect(short).toMatch(/^advice MASTER_PASSWORD: .*hash-master/m);
    expect(await texts({ MASTER_PASSWORD: password })).not.toMatch(/characters/);
  });

  test('as a hash needs no advice, unless its cost does', async () => {
    const costs = async (cost: number, env: Record<string, string> = {}) =>
      texts({ MASTER_PASSWORD_HASH: await hashPassword(password, { cost }), ...env });
    expect(await costs(12)).toBe('ok password: MASTER_PASSWORD_HASH is in effect');
    expect(await costs(10)).toMatch(/^advice MASTER_PASSWORD_HASH: has cost 10, and BCRYPT_COST is 12/m);
    expect(await costs(10, { BCRYPT_COST: '10' })).not.toMatch(/advice/);
    expect(await costs(8)).toMatch(/^advice MASTER_PASSWORD_HASH: has cost 8: .*too quick/m);
    const slow = (await hashPassword(password, { cost: 4 })).replace('$04$', '$17$');
    expect(await texts({ MASTER_PASSWORD_HASH: slow })).toMatch(
      /^advice MASTER_PASSWORD_HASH: has cost 17: .*seconds/m,
    );
  });

  test('that is a hash of the built-in one is found', async () => {
    const hash = await hashPassword('admin123', { cost: 10 });
    expect(await texts({ MASTER_PASSWORD_HASH: hash })).toMatch(/^advice MASTER_PASSWORD_HASH: is admin123/m);
    expect(await texts({ MASTER_PASSWORD: 'admin123' })).toMatch(/^advice MASTER_PASSWORD: admin123 is the built-in/m);
  });

  test('that could not be set as a new one is a fault if others can try it', async () => {
    const hash = await hashPassword('admin123', { cost: 10 });
    const places = [{ HOST: '0.0.0.0', PUBLIC_URL: 'http://nas:8000' }, { PUBLIC_URL: 'https://auth.example.com' }];
    for (const place of places) {
      for (const MASTER_PASSWORD of ['admin123', 'short', 'password1']) {
        expect(await texts({ MASTER_PASSWORD, ...place })).toMatch(/^fault MASTER_PASSWORD: /m);
      }
      expect(await texts({ MASTER_PASSWORD_HASH: hash, ...place })).toMatch(
        /^fault MASTER_PASSWORD_HASH: is admin123/m,
      );
      expect(await texts({ MASTER_PASSWORD: 'a fine one', ...place })).not.toMatch(/^fault /m);
    }
  });

  test('that is not configured is reported', async () => {
    const open = { HOST: '0.0.0.0', PUBLIC_URL: 'http://nas:8000' };
    expect(await texts({})).toMatch(/^advice password: the built-in admin123 is in effect/);
    expect(await texts(open)).toMatch(/^ok password: .*the first start generates a password/);
  });

  test('that is stored in the database is in effect, however weak', async () => {
    const kept = await hashPassword(password, { cost: 10 });
    expect(await texts({ BCRYPT_COST: '10' }, kept)).toBe('ok password: the one stored in the database is in effect');
    expect(await texts({}, kept)).toMatch(/^advice password: has cost 10, and BCRYPT_COST is 12/m);
    const known = await hashPassword('admin123', { cost: 10 });
    expect(await texts({ BCRYPT_COST: '10' }, known)).toMatch(/^advice password: is admin123/m);
    expect(await texts({ MASTER_PASSWORD: password }, known)).not.toMatch(/admin123|database/);
  });

  test('that cannot be looked up is reported', async () => {
    const findings = async (env: Record<string, string>) =>
      textsOf(await checkEffectivePassword(load(env), { passwordHash: undefined }));
    expect(await findings({})).toMatch(/^advice password: .*stored in .*, or if none is stored the built-in admin123$/);
    expect(await findings({ NODE_ENV: 'production' })).toMatch(/^ok password: .*the one stored in \S+ is in effect$/);
  });
});

describe('the key and the data', () => {
  test('that exist and are private need no advice', () => {
    using home = makeHome();
    const data = makeData(home, { folder: 0o700, file: 0o600 });
    const config = loadConfig({ env: {}, root: home.root });
    expect(textsOf([...checkData(config), ...checkSecretKey(config), ...checkModes(config)])).toBe(
      [
        `ok DATA_DIR: ${data} can be written`,
        `ok database: ${join(data, 'backchannel.db')} can be written`,
        `ok SECRET_KEY: the one in ${join(data, 'secret.key')} is in effect`,
      ].join('\n'),
    );
  });

  test.skipIf(process.platform === 'win32')('that others can read get the command that fixes it', async () => {
    using home = makeHome({ '.env': `MASTER_PASSWORD='${password}'\n` });
    const data = makeData(home, { folder: 0o750, file: 0o640 });
    chmodSync(join(home.root, '.env'), 0o644);
    const { stdout, exitCode } = await home.run(['check-config']);
    expect(stdout.match(/chmod \d+ \S+$/gm)).toEqual([
      `chmod 600 ${join(home.root, '.env')}`,
      `chmod 700 ${data}`,
      `chmod 600 ${join(data, 'backchannel.db')}`,
      `chmod 600 ${join(data, 'secret.key')}`,
    ]);
    expect(exitCode).toBe(0);
  });

  test('a configured key is used, and several keys are counted', () => {
    const key = (letter: string) => `${letter}-key-of-thirty-two-characters!!`;
    const texts = (SECRET_KEY: string) => textsOf(checkSecretKey(load({ SECRET_KEY })));
    expect(texts(key('a'))).toBe('ok SECRET_KEY: is set');
    expect(texts(`${key('a')},${key('b')}`)).toMatch(/^ok SECRET_KEY: is a ring of 2/);
  });
});

describe('the database', () => {
  const lookInto = async (file: string) => {
    const { findings, passwordHash } = await checkDatabase(load({ DATABASE_URL: `sqlite:${file}` }));
    return { text: textsOf(findings), passwordHash };
  };

  test('that a server has used needs no advice', async () => {
    using home = makeHome();
    const file = join(home.root, 'used.db');
    await (await openStore({ engine: 'sqlite', file }))[Symbol.asyncDispose]();
    const found = { text: 'ok database: can be read, and all migrations are applied', passwordHash: null };
    expect(await lookInto(file)).toEqual(found);
  });

  test('of another version is reported and left unchanged', async () => {
    using home = makeHome({ 'older.db': '' });
    expect(await lookInto(join(home.root, 'older.db'))).toEqual({
      text: expect.stringMatching(/^advice database: is from an older version: the next start applies 0001-seed, /),
      passwordHash: null,
    });
    expect(readdirSync(home.root).filter((name) => name.startsWith('older'))).toEqual(['older.db']);
    expect(statSync(join(home.root, 'older.db')).size).toBe(0);
    const file = join(home.root, 'newer.db');
    {
      await using store = await openStore({ engine: 'sqlite', file });
      await store.write((em) =>
        em.execute("insert into backchannel_migrations (name) values ('9999-later')", [], 'run'),
      );
    }
    expect((await lookInto(file)).text).toMatch(/^fault database: a newer version .*\(9999-later\)/);
  });

  test('that is not a database is a fault', async () => {
    using home = makeHome({ 'other.db': 'k'.repeat(4096) });
    const { stdout, stderr, exitCode } = await home.run(['check-config'], { env: { DATABASE_URL: 'sqlite:other.db' } });
    expect(about(stdout, 'fault', 'database')).toEqual([
      expect.stringMatching(/cannot be used: file is not a database/),
    ]);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 1 });
  });
});

test.skipIf(process.platform === 'win32')(
  'a server logs the advice of check-config at its start',
  { timeout: 60_000 },
  async () => {
    using home = checkout({ '.env': `${serverEnv}MASTER_PASWORD=x\nMASTER_PASSWORD=short\n` });
    chmodSync(join(home.root, '.env'), 0o644);
    mkdirSync(join(home.root, 'data'), { mode: 0o755 });
    const env = { HOST: '0.0.0.0', PUBLIC_URL: 'http://nas', TRUSTED_PROXIES: '0.0.0.0/1' };
    await using server = await spawnServer(home, { env });
    const { findings } = JSON.parse((await home.run(['check-config', '--json'], { env })).stdout);
    const advised = findings.filter(({ level }: Finding) => level !== 'ok');
    const lines = advised.map(({ about, text }: Finding) => `  WARNING  ${about}: ${text}`);
    const warnings = () => server.output().match(/^ +WARNING .*/gm) ?? [];
    await expect.poll(() => warnings().toSorted()).toEqual(lines.toSorted());
    const subjects = [
      '.env',
      '.env',
      'DATA_DIR',
      'MASTER_PASSWORD',
      'MASTER_PASSWORD',
      'PUBLIC_URL',
      'TRUSTED_PROXIES',
    ];
    expect(advised.map(({ about }: Finding) => about).toSorted()).toEqual(subjects);
  },
);

describe('the proxies', () => {
  const https = { PUBLIC_URL: 'https://auth.example.com' };
  const nas = { PUBLIC_URL: 'http://nas:8000', HOST: '0.0.0.0' };
  const cases: [string, Record<string, string>, RegExp][] = [
    ['none, and none needed', {}, /^ok TRUSTED_PROXIES: is not set/],
    ['none, where https takes one', https, /^advice TRUSTED_PROXIES: .*set TRUSTED_PROXIES=127\.0\.0\.1$/],
    [
      'the one on this machine',
      { ...https, TRUSTED_PROXIES: '::1,127.0.0.1' },
      /^ok .* of ::1, 127\.0\.0\.1 are trusted$/,
    ],
    ['the local network', { ...https, TRUSTED_PROXIES: 'private' }, /^ok .* of private are trusted$/],
    [
      'one that cannot get here',
      { ...https, TRUSTED_PROXIES: '192.0.2.7' },
      /^advice .* does not contain this machine/m,
    ],
    [
      'anybody on the local network',
      { ...nas, TRUSTED_PROXIES: 'private' },
      /^advice .* private trusts every machine/m,
    ],
    ['half of the internet', { ...nas, TRUSTED_PROXIES: '128.0.0.0/1' }, /^advice .* 128\.0\.0\.0\/1 is a large part/m],
    ['half of IPv6', { ...nas, TRUSTED_PROXIES: '8000::/1' }, /^advice .* 8000::\/1 is a large part/m],
    ['wide private networks', { ...nas, TRUSTED_PROXIES: '10.0.0.0/8,fc00::/7' }, /^ok .* are trusted$/],
  ];

  test.each(cases)('%s', (_, env, text) => {
    const found = textsOf(checkProxies(load(env)));
    expect(found).toMatch(text);
    if (text.source.startsWith('^ok')) expect(found).not.toMatch(/^advice/m);
  });
});

describe('the addresses', () => {
  const proxied = { PUBLIC_URL: 'https://auth.example.com' };
  const nas = { PUBLIC_URL: 'http://nas:8000' };
  const cases: [string, Record<string, string>, RegExp][] = [
    ['on one machine', {}, /^ok HOST: only this machine can connect; for others/],
    ['behind TLS', proxied, /^ok HOST: .*forward https:\/\/auth\.example\.com to http:\/\/127\.0\.0\.1:8000$/m],
    ['behind TLS, by IPv6', { ...proxied, HOST: '::1' }, /^ok HOST: .*to http:\/\/\[::1\]:8000$/m],
    ['for others, but listening here alone', nas, /^advice HOST: .*set HOST=0\.0\.0\.0/],
    [
      'open, with an address for here',
      { HOST: '0.0.0.0' },
      /^advice PUBLIC_URL: .*set it to the address that they use/,
    ],
    ['open to others', { ...nas, HOST: '::' }, /^ok HOST: everyone who can reach :: port 8000/],
    ['open to others without TLS', { ...nas, HOST: '::' }, /^advice PUBLIC_URL: is http: .*unencrypted/m],
    ['open, with an address for here, without TLS', { HOST: '::' }, /^advice PUBLIC_URL: is http: .*unencrypted/m],
    ['at another port', { PUBLIC_URL: 'http://localhost' }, /^advice PUBLIC_URL: has port 80, and PORT is 8000/m],
    ['https at its own port', { PUBLIC_URL: 'https://nas:8000' }, /^advice PUBLIC_URL: .*itself listens without TLS/m],
    [
      'that no browser opens',
      { PUBLIC_URL: 'http://0.0.0.0:8000' },
      /^advice PUBLIC_URL: .*not an address that a browser/m,
    ],
    ['with https', proxied, /^ok cookie: __Host-backchannel_session is Secure/m],
    ['with http', {}, /^ok cookie: backchannel_session is not Secure/m],
  ];

  test.each(cases)('%s', (_, env, text) => {
    expect(textsOf(checkAddresses(load(env)))).toMatch(text);
  });

  test('that match each other need no advice', () => {
    for (const env of [{}, proxied]) expect(textsOf(checkAddresses(load(env)))).not.toMatch(/^advice/m);
  });
});

test('an unreachable PostgreSQL is a fault that hides the password, and an unencrypted connection gets advice', async () => {
  const env = {
    DATABASE_URL: 'postgresql://bc:hunter2@localhost:1/bc',
    SECRET_KEY: 'another-key-for-tests-of-the-command-line',
  };
  const { stdout, stderr, exitCode } = await check(env);
  expect(exitCode).toBe(1);
  const [fault] = about(stdout, 'fault', 'database');
  expect(fault).toMatch(/^The database postgresql:\/\/bc@localhost:1\/bc cannot be used: .*ECONNREFUSED/);
  expect(stdout + stderr).not.toContain('hunter2');
  const advised = (DATABASE_URL: string) => {
    const { database } = loadConfig({ env: { ...env, DATABASE_URL }, root: home.root });
    return checkDatabaseUrl({ database }).map(({ text }) => text);
  };
  expect(advised('postgresql://bc:hunter2@db.example.com/bc')).toEqual([
    expect.stringMatching(
      /^postgresql:\/\/bc@db\.example\.com:5432\/bc is reached without encryption, .*sslmode=verify-full/,
    ),
  ]);
  for (const quiet of ['localhost/bc', '127.0.0.1/bc', 'db.example.com/bc?sslmode=disable', 'db/bc?sslmode=require']) {
    expect(advised(`postgresql://bc:hunter2@${quiet}`)).toEqual([]);
  }
});

test('metrics that others can read get advice, and disabled metrics do not', async () => {
  const metricsOf = (env: Record<string, string>) => textsOf(checkMetrics(load(env)));
  expect(metricsOf({ METRICS_HOST: '0.0.0.0' })).toBe('');
  expect(metricsOf({ METRICS_PORT: '9464' })).toBe(
    'ok METRICS_PORT: only this machine can read the metrics, at port 9464',
  );
  expect(metricsOf({ METRICS_PORT: '9464', METRICS_HOST: '0.0.0.0' })).toMatch(
    /^advice METRICS_HOST: 0\.0\.0\.0 lets everyone who can reach port 9464 read the metrics/,
  );
  const { stdout } = await home.run(['check-config'], { env: { METRICS_PORT: '9464', METRICS_HOST: '::' } });
  expect(stdout).toMatch(/^advice {2}METRICS_HOST: :: lets/m);
});

describe('the .env file', () => {
  test('is named, its typing mistakes are found, and other programs’ variables are ignored', async () => {
    using home = makeHome({ '.env': 'MASTER_PASWORD=x\nSECRET_KEY_FIL=x\nPOSTGRES_USER=x\nTZ=UTC\n' });
    const { stdout } = await home.run(['check-config']);
    expect(about(stdout, 'ok', '.env')).toEqual([expect.stringContaining(join(home.root, '.env'))]);
    expect(about(stdout, 'advice', '.env')).toEqual([
      'MASTER_PASWORD is not a setting, and nothing reads it. Did you mean MASTER_PASSWORD?',
      'SECRET_KEY_FIL is not a setting, and nothing reads it. Did you mean SECRET_KEY_FILE?',
    ]);
  });
});

const load = (env: Record<string, string>) => loadConfig({ env, root: home.root });

const textsOf = (findings: readonly Finding[]) =>
  findings.map(({ level, about, text }) => `${level} ${about}: ${text}`).join('\n');

/** Creates a data folder and its two files with these modes. */
function makeData({ root }: Home, modes: { folder: number; file: number }): string {
  const data = join(root, 'data');
  mkdirSync(data);
  chmodSync(data, modes.folder);
  for (const [name, content] of Object.entries({ 'secret.key': 'k'.repeat(43), 'backchannel.db': '' })) {
    writeFileSync(join(data, name), content);
    chmodSync(join(data, name), modes.file);
  }
  return data;
}

function problems(root: string): string[] {
  try {
    loadConfig({ env: {}, root });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
}
