/**
 * The configuration as an operator meets it: what each variable accepts, what a faulty one is told, and that
 * `.env.example` says the same. Nothing here reads this machine's own environment or `.env`.
 */
// Runs on one engine: it reads settings and opens no database.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { envExample, settingsTable, withTable } from '../../reference.ts';
import { type Config, ConfigError, findRoot, loadConfig, settings } from '../../src/config/config.ts';
import { createRandom } from '../support/random.ts';

const hash = '$2b$12$3IvYo/YS8dSS83LQfyalN.IiJDAG1a1BGr/spe0qx3361u0wt6gTm';
/** A key of 32 characters that no pattern makes. */
const key = (letter: string) => `${letter}0123456789-abcdefghij-ABCDEFGHI`;
const repository = resolve(import.meta.dirname, '../../../..');

/** A folder to stand for the checkout's root, gone at the end of the test. */
function folder(files: Record<string, string | Uint8Array> = {}) {
  const path = mkdtempSync(join(tmpdir(), 'backchannel-config-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function load(env: NodeJS.ProcessEnv, files: Record<string, string | Uint8Array> = {}): Config {
  using root = folder(files);
  return loadConfig({ env, root: root.path, isTerminal: true });
}

/** The problems of a configuration; none when it loads. */
function problems(env: NodeJS.ProcessEnv, files: Record<string, string | Uint8Array> = {}) {
  return failure(() => load(env, files))?.problems ?? [];
}

/** The one problem's words, to be matched. */
function problem(env: NodeJS.ProcessEnv, files: Record<string, string | Uint8Array> = {}): string {
  const all = problems(env, files);
  expect(all).toHaveLength(1);
  return `${all[0]?.variable}: ${all[0]?.problem}`;
}

function failure(run: () => unknown): ConfigError | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

function randomText(random: (below: number) => number, alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[random(alphabet.length)]).join('');
}

describe('defaults', () => {
  test('an empty environment gives the contract’s defaults', () => {
    using root = folder();
    expect(loadConfig({ env: {}, root: root.path, isTerminal: true })).toStrictEqual({
      host: '127.0.0.1',
      port: 8000,
      publicUrl: 'http://localhost:8000',
      dataDir: join(root.path, 'data'),
      secretKeys: null,
      password: { from: 'database', builtInAllowed: true },
      sessionExpireMinutes: 60,
      sessionMaxDays: 30,
      sessionMaxLive: 100,
      stepUpMinutes: 15,
      cookieName: 'backchannel_session',
      secureCookies: false,
      cookieDomain: null,
      allowedOrigins: [],
      trustedProxies: [],
      database: { engine: 'sqlite', file: join(root.path, 'data', 'backchannel.db') },
      bcryptCost: 12,
      loginMaxFailures: 5,
      loginWindowMinutes: 15,
      eventRetentionDays: 365,
      operatorName: 'operator',
      operatorEmail: null,
      docs: 'public',
      metricsPort: null,
      metricsHost: '127.0.0.1',
      logLevel: 'info',
      logFormat: 'pretty',
      threadPoolSize: 4,
    });
  });

  test('loading creates nothing', () => {
    using root = folder();
    loadConfig({ env: { DATA_DIR: 'elsewhere' }, root: root.path });
    expect(readdirSync(root.path)).toEqual([]);
  });

  test('an empty string counts as not set, for every setting', () => {
    const empty = Object.fromEntries(settings.flatMap(({ name }) => [name, `${name}_FILE`]).map((name) => [name, '']));
    using root = folder();
    const options = { root: root.path, isTerminal: true };
    const { password, ...rest } = loadConfig({ ...options, env: empty });
    const { password: _, ...defaults } = loadConfig({ ...options, env: {} });
    expect(rest).toEqual(defaults);
    expect(password.from).toBe('database');
  });

  test('PUBLIC_URL follows PORT, and the database follows DATA_DIR', () => {
    expect(load({ PORT: '9000' }).publicUrl).toBe('http://localhost:9000');
    expect(load({ PORT: '80' }).publicUrl).toBe('http://localhost');
    expect(load({ PORT: '0' })).toMatchObject({ port: 0, publicUrl: 'http://localhost:0' });
    expect(load({ DATA_DIR: '/srv/bc' }).database).toHaveProperty('file', resolve('/srv/bc/backchannel.db'));
  });

  test('logs are pretty on a terminal and json elsewhere, unless LOG_FORMAT says which', () => {
    using root = folder();
    const format = (isTerminal: boolean, LOG_FORMAT?: string) =>
      loadConfig({ env: LOG_FORMAT === undefined ? {} : { LOG_FORMAT }, root: root.path, isTerminal }).logFormat;
    expect([format(true), format(false)]).toEqual(['pretty', 'json']);
    expect([format(true, 'json'), format(false, 'pretty')]).toEqual(['json', 'pretty']);
  });

  test('the root is the checkout’s', () => {
    expect(findRoot()).toBe(repository);
    expect(existsSync(join(findRoot(), 'pnpm-workspace.yaml'))).toBe(true);
  });
});

describe('problems', () => {
  test('three bad values are three lines, each with the variable, what is wrong and an example', () => {
    const error = failure(() => load({ PORT: 'http', DOCS: 'private', BCRYPT_COST: '9' }));
    expect(error?.problems.map((each) => each.variable)).toEqual(['PORT', 'BCRYPT_COST', 'DOCS']);
    expect(error?.message.split('\n')).toEqual([
      'PORT: "http" is not a whole number from 0 to 65535, in plain digits. Example: PORT=8000',
      'BCRYPT_COST: "9" is not a whole number from 10 to 20: below 10 a stolen hash is too quick to guess against. ' +
        'Example: BCRYPT_COST=12',
      'DOCS: "private" is none of public, login, off. Example: DOCS=login',
    ]);
  });

  const faults: Record<string, string> = {
    HOST: 'http://localhost',
    PORT: '65536',
    PUBLIC_URL: 'localhost:8000',
    DATA_DIR: '~/data',
    SECRET_KEY: 'your-secret-key',
    MASTER_PASSWORD: 'x'.repeat(73),
    MASTER_PASSWORD_HASH: 'b2/rest.of.hash',
    SESSION_EXPIRE_MINUTES: '0',
    SESSION_MAX_DAYS: '3651',
    SESSION_MAX_LIVE: '0',
    STEP_UP_MINUTES: '-1',
    COOKIE_NAME: 'a b',
    COOKIE_DOMAIN: 'com',
    ALLOWED_ORIGINS: '*',
    TRUSTED_PROXIES: '10.0.0.0/33',
    DATABASE_URL: 'postgresql://bc:hunter2@db',
    LOGIN_MAX_FAILURES: '0',
    LOGIN_WINDOW_MINUTES: 'none',
    BCRYPT_COST: '31',
    EVENT_RETENTION_DAYS: '0',
    OPERATOR_NAME: 'Jörg',
    OPERATOR_EMAIL: 'alice',
    DOCS: 'yes',
    METRICS_PORT: '65536',
    METRICS_HOST: 'http://127.0.0.1',
    LOG_LEVEL: 'verbose',
    LOG_FORMAT: 'text',
  };

  test.each(settings)('the example in $name’s problem fixes it', ({ name }) => {
    const beside = name === 'COOKIE_DOMAIN' ? { PUBLIC_URL: 'https://auth.example.com' } : {};
    const env: NodeJS.ProcessEnv = { ...beside, [name]: faults[name] };
    const [found, ...others] = problems(env);
    expect(others).toEqual([]);
    expect(found?.variable).toBe(name);
    const fixed = { ...env, ...parseEnv(found?.example ?? '') };
    expect(fixed[name]).not.toBe(faults[name]);
    expect(problems(fixed)).toEqual([]);
  });

  test('every setting’s fault is listed when all are wrong at once', () => {
    const { MASTER_PASSWORD, ...env } = faults;
    expect(problems(env).map((each) => each.variable)).toEqual(Object.keys(env));
  });

  test('a secret’s value is never repeated', () => {
    const secrets = {
      SECRET_KEY: `kJ8-short-one,${key('q')}zz,${key('q')}zz`,
      MASTER_PASSWORD: `pw9!${'ä'.repeat(40)}`,
      DATABASE_URL: 'mysql://joe:S3same@db',
    };
    for (const value of ['b2/Rest.Of.Hash', 'my plain one', '$argon2id$v=19$m=1', `'${hash}'x`, 'JDJiJDEyJHp6enp6']) {
      const { message } = failure(() => load({ ...secrets, MASTER_PASSWORD_HASH: value })) ?? { message: '' };
      expect(message).toContain('MASTER_PASSWORD_HASH: ');
      expect(message).not.toContain(value);
      expect(message).not.toMatch(/Rest\.Of|kJ8|qqqq|S3same|joe|IiJDAG1a1BGr/);
    }
    expect(failure(() => load(secrets))?.message).not.toMatch(/pw9|ää/);
    expect(problem({ PUBLIC_URL: 'https://joe:S3same@auth.example.com' })).not.toMatch(/joe|S3same/);
    expect(problem({ PUBLIC_URL: 'ftp://joe:S3same@auth.example.com' })).not.toMatch(/joe|S3same/);
  });

  test('whatever the values are, there is a configuration or one clean line for each problem', () => {
    const random = createRandom(1).below;
    const pieces = [
      'http://',
      'https://',
      '$2b$12$',
      'sqlite:',
      'postgresql://',
      '::1',
      '@',
      ',',
      '%',
      '/',
      '~',
      '\n',
      '\u009b',
      '\u2028',
    ];
    const junk = () => {
      const piece = () => pieces[random(pieces.length)] ?? '';
      return piece() + randomText(random, 'az09.:-_ \t\r\n\u0007"\'\\$#é😀', random(12)) + piece();
    };
    using root = folder();
    let refused = 0;
    for (let round = 0; round < 500; round++) {
      const env = Object.fromEntries(settings.filter(() => random(3) > 0).map(({ name }) => [name, junk()]));
      const error = failure(() => loadConfig({ env, root: root.path }));
      if (error === null) continue;
      refused++;
      const lines = error.message.split('\n');
      expect(lines).toHaveLength(error.problems.length);
      for (const line of lines) expect(line).toMatch(/^[A-Z_]+: [^\p{Cc}\p{Zl}\p{Zp}]+\. Example: [A-Z_]+=\S+$/u);
    }
    expect(refused).toBeGreaterThan(400);
  });
});

describe('.env', () => {
  test('it is read from the root, quotes and comments and all', () => {
    const file = `\uFEFF# comment\r\nexport PORT=9000 # why\r\nMASTER_PASSWORD='a#b $c "d"'\r\nHOST="::1"\r\n`;
    expect(load({}, { '.env': file })).toMatchObject({
      port: 9000,
      host: '::1',
      password: { from: 'MASTER_PASSWORD', plain: 'a#b $c "d"' },
    });
  });

  test('a hash needs no quotes there', () => {
    const config = load({}, { '.env': `MASTER_PASSWORD_HASH=${hash}\n` });
    expect(config.password).toEqual({ from: 'MASTER_PASSWORD_HASH', hash });
  });

  test('a variable that is set wins over it, an empty one does not', () => {
    expect(load({ PORT: '1' }, { '.env': 'PORT=2' }).port).toBe(1);
    expect(load({ PORT: '' }, { '.env': 'PORT=2' }).port).toBe(2);
  });

  test('one that is a folder, or no UTF-8, is a problem and no stack', () => {
    using root = folder();
    mkdirSync(join(root.path, '.env'));
    const error = failure(() => loadConfig({ env: { PORT: 'x' }, root: root.path }));
    expect(error?.problems.map((each) => each.variable)).toEqual(['.env', 'PORT']);
    expect(error?.message).toMatch(/^\.env: ".*" is a folder, not a file\. Example: PORT=8000\n/);
    expect(problem({}, { '.env': Buffer.from('\uFEFFPORT=1', 'utf16le') })).toMatch(/^\.env: .*UTF-8/);
    expect(problem({}, { '.env': Buffer.from('PORT=1', 'utf16le') })).toMatch(/^\.env: .*UTF-8/);
    expect(problem({}, { '.env': Buffer.from('MASTER_PASSWORD=é', 'latin1') })).toMatch(/^\.env: .*UTF-8/);
  });

  test.skipIf(process.platform === 'win32' || process.getuid?.() === 0)('one that may not be read is a problem', () => {
    using root = folder({ '.env': 'PORT=1' });
    chmodSync(join(root.path, '.env'), 0);
    const error = failure(() => loadConfig({ env: {}, root: root.path }));
    expect(error?.message).toMatch(/^\.env: ".*" may not be read/);
  });
});

describe('NAME_FILE', () => {
  test('each secret can be in a file, whose newline at the end is dropped', () => {
    const files = { k: `${key('k')},${key('l')}\n`, p: ' my pass \r\n', d: 'sqlite:x.db\n' };
    using root = folder(files);
    const env = { SECRET_KEY_FILE: 'k', MASTER_PASSWORD_FILE: join(root.path, 'p'), DATABASE_URL_FILE: './d' };
    expect(loadConfig({ env, root: root.path })).toMatchObject({
      secretKeys: [key('k'), key('l')],
      password: { plain: ' my pass ' },
      database: { file: join(root.path, 'x.db') },
    });
    expect(load({ MASTER_PASSWORD_HASH_FILE: 'h' }, { h: `${hash}\n` }).password).toMatchObject({ hash });
  });

  test('the variable and its file together are a problem, also when one of them is in .env', () => {
    const both = /^SECRET_KEY_FILE: is set, and SECRET_KEY too/;
    expect(problem({ SECRET_KEY: key('k'), SECRET_KEY_FILE: 'k' }, { k: key('l') })).toMatch(both);
    expect(problem({ SECRET_KEY: key('k') }, { '.env': 'SECRET_KEY_FILE=k', k: key('l') })).toMatch(both);
  });

  test('a file that is missing, empty or a folder is a problem', () => {
    const names = settings.filter((setting) => setting.secret).map((setting) => `${setting.name}_FILE`);
    expect(names).toEqual([
      'SECRET_KEY_FILE',
      'MASTER_PASSWORD_FILE',
      'MASTER_PASSWORD_HASH_FILE',
      'DATABASE_URL_FILE',
    ]);
    for (const name of names) {
      expect(problem({ [name]: 'nowhere' })).toMatch(`${name}: the file "`);
      expect(problem({ [name]: 'nowhere' })).toMatch(/nowhere" does not exist$/);
      expect(problem({ [name]: 'empty' }, { empty: '\n\n' })).toMatch(/empty" is empty$/);
      expect(problem({ [name]: '.' })).toMatch(/is a folder, not a file$/);
    }
  });

  test('what is in the file is judged like the variable', () => {
    expect(problem({ SECRET_KEY_FILE: 'k' }, { k: 'short' })).toBe(
      'SECRET_KEY: needs at least 32 characters, it has 5',
    );
    expect(problem({ MASTER_PASSWORD_FILE: 'p' }, { p: 'a\0b' })).toMatch(/^MASTER_PASSWORD: has a NUL/);
    // As `hash --env > file` and `secret --env > file` write it.
    const whole = /is a whole line of \.env: only what follows the = is wanted/;
    const base64 = Buffer.from(hash).toString('base64');
    for (const value of [`'${hash}'`, hash, base64]) {
      const told = problem({ MASTER_PASSWORD_HASH_FILE: 'h' }, { h: `MASTER_PASSWORD_HASH=${value}\n` });
      expect(told).toMatch(whole);
      expect(told).not.toContain(value.slice(8, 20));
    }
    expect(problem({ SECRET_KEY_FILE: 'k' }, { k: `SECRET_KEY=${key('k')}\n` })).toMatch(whole);
    for (const text of ['two\nlines', 'two\r\nlines', '\nsecond line', 'an old\rMac']) {
      const told = /^MASTER_PASSWORD: has a line break in it/;
      expect(problem({ MASTER_PASSWORD_FILE: 'p' }, { p: `${text}\n` })).toMatch(told);
      expect(problem({ MASTER_PASSWORD: text })).toMatch(told);
    }
  });

  test('other settings have none', () => {
    expect(load({ PORT_FILE: 'nowhere' }).port).toBe(8000);
  });
});

describe('numbers', () => {
  test.each([
    ['PORT', 0, 65_535],
    ['SESSION_MAX_DAYS', 1, 3650],
    ['BCRYPT_COST', 10, 20],
  ] as const)('%s is a whole number from %i to %i in plain digits, and nothing else', (name, min, max) => {
    const accepted = (value: string) =>
      problems({ [name]: value, SESSION_EXPIRE_MINUTES: '1' }).every((each) => each.variable !== name);
    expect([min, max].map(String).every(accepted)).toBe(true);
    const odd = ['1e3', ' 15', '15 ', '5.5', '+15', '-15', '0x10', '015', '1_000', '１５', 'NaN', 'Infinity', '15\n'];
    const outside = [min - 1, max + 1, 2 ** 53, 1e21].map(String);
    expect([...odd, ...outside, '9'.repeat(400)].filter(accepted)).toEqual([]);

    const random = createRandom(max).below;
    for (let round = 0; round < 300; round++) {
      const value = randomText(random, '0123456789.e+-', 1 + random(5));
      const plain = String(Number(value)) === value && Number.isInteger(Number(value));
      expect([value, accepted(value)]).toEqual([value, plain && Number(value) >= min && Number(value) <= max]);
    }
  });

  test('an idle time up to the whole life of a session is fine, a longer one is a problem', () => {
    expect(load({ SESSION_EXPIRE_MINUTES: '1440', SESSION_MAX_DAYS: '1' }).sessionExpireMinutes).toBe(1440);
    expect(load({ SESSION_EXPIRE_MINUTES: '5256000', SESSION_MAX_DAYS: '3650' }).sessionMaxDays).toBe(3650);
    const longer = { SESSION_EXPIRE_MINUTES: '1441', SESSION_MAX_DAYS: '1' };
    expect(problem(longer)).toMatch(/^SESSION_EXPIRE_MINUTES: is longer than SESSION_MAX_DAYS/);
    expect(problem({ SESSION_EXPIRE_MINUTES: '43201' })).toMatch(/longer than SESSION_MAX_DAYS/);
    expect(problems({ ...longer, PORT: 'x' }).map((each) => each.variable)).toEqual(['PORT', 'SESSION_EXPIRE_MINUTES']);
    expect(problem({ ...longer, SESSION_MAX_DAYS: '0' })).toMatch(/^SESSION_MAX_DAYS: /);
  });
});

describe('addresses', () => {
  test.each(['0.0.0.0', '::', '::1', 'fe80::1', 'localhost', 'nas', 'auth.example.com', 'my_container-1'])(
    'HOST may be %s',
    (HOST) => expect(load({ HOST }).host).toBe(HOST),
  );

  const wrongHosts = [
    '*',
    'a b',
    'http://nas',
    'nas:8000',
    '[::1]',
    '127.0.0.256',
    '1',
    '-a',
    'a..b',
    'é',
    'a'.repeat(64),
    `${'a.'.repeat(127)}a`,
  ];
  test.each(wrongHosts)('HOST may not be %s', (HOST) => {
    expect(problem({ HOST })).toMatch(/^HOST: ".*" is no IP address or host name/);
  });

  test.each([
    ['http://nas:8000', 'http://nas:8000'],
    ['https://auth.example.com/', 'https://auth.example.com'],
    ['HTTPS://Auth.Example.com:443', 'https://auth.example.com'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['http://[::1]:8000', 'http://[::1]:8000'],
    ['http://my_container', 'http://my_container'],
  ])('PUBLIC_URL %s is the origin %s', (PUBLIC_URL, origin) => {
    expect(load({ PUBLIC_URL }).publicUrl).toBe(origin);
  });

  test.each([
    'nas:8000',
    'ftp://nas',
    'http://',
    'http:///',
    'http:nas',
    'https://nas/auth',
    'https://nas//',
    'https://nas/.',
    'https://nas?',
    'https://nas#',
    'https://me@nas',
    'https://@nas',
    'https://*.example.com',
    'https://na\ts',
    ' https://nas',
    'https://nas\\auth',
    'https://nas:99999',
    'https://a,https://b',
  ])('PUBLIC_URL may not be %s', (PUBLIC_URL) => {
    expect(problem({ PUBLIC_URL })).toMatch(/^PUBLIC_URL: /);
  });

  test('ALLOWED_ORIGINS is a list of exact origins, each once', () => {
    const ALLOWED_ORIGINS = ' https://App.example.com:443 ,http://localhost:5173,,https://app.example.com,';
    expect(load({ ALLOWED_ORIGINS }).allowedOrigins).toEqual(['https://app.example.com', 'http://localhost:5173']);
    for (const wrong of ['app.example.com', 'https://a/', 'https://a/b', 'https://*.a', 'file://a', 'https://u@a']) {
      expect(problem({ ALLOWED_ORIGINS: `https://ok.example,${wrong}` })).toMatch(/^ALLOWED_ORIGINS: /);
    }
    expect(problem({ ALLOWED_ORIGINS: '*' })).toMatch(/any site could then act/);
    expect(problem({ ALLOWED_ORIGINS: 'null' })).toMatch(/sandboxed frames/);
    expect(problems({ ALLOWED_ORIGINS: '*,null,x' })).toHaveLength(3);
  });

  test('with https the cookie is Secure and has the __Host- prefix, on http it is bare', () => {
    expect(load({ PUBLIC_URL: 'https://a.example', COOKIE_NAME: 'sid' })).toMatchObject({
      cookieName: '__Host-sid',
      secureCookies: true,
    });
    expect(load({ COOKIE_NAME: 'sid' })).toMatchObject({ cookieName: 'sid', secureCookies: false });
  });

  test('COOKIE_NAME has the characters of an RFC 6265 token and no other', () => {
    const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (let code = 0; code < 300; code++) {
      const character = String.fromCharCode(code);
      const accepted = problems({ COOKIE_NAME: `a${character}b` }).length === 0;
      expect([character, accepted]).toEqual([character, token.includes(character)]);
    }
  });

  test.each([
    '__Host-sid',
    '__secure-sid',
    '__HOST-',
    '__Http-x',
    '__Host-Http-x',
    'backchannel_device',
    'Backchannel_Pass',
    'a'.repeat(65),
  ])('COOKIE_NAME may not be %s', (COOKIE_NAME) => {
    expect(problem({ COOKIE_NAME })).toMatch(/^COOKIE_NAME: /);
  });

  test.each([
    ['example.com', 'https://auth.example.com'],
    ['.Example.COM', 'https://auth.example.com'],
    ['example.com', 'https://example.com:8443'],
    ['bücher.example', 'https://auth.xn--bcher-kva.example'],
    // By the list's default rule, each unknown last label would be a suffix.
    ['box.lan', 'https://auth.box.lan'],
    ['nas.home.arpa', 'https://auth.nas.home.arpa'],
    ['me.duckdns.org', 'https://auth.me.duckdns.org'],
    ['example.co.uk', 'https://auth.example.co.uk'],
  ])('COOKIE_DOMAIN %s is good for %s', (COOKIE_DOMAIN, PUBLIC_URL) => {
    const domain = new URL(PUBLIC_URL).hostname.replace(/^auth\./, '');
    expect(load({ COOKIE_DOMAIN, PUBLIC_URL }).cookieDomain).toBe(domain);
  });

  test.each([
    ['example.com', undefined],
    ['example.com', 'http://auth.example.com'],
    ['example.com', 'https://auth.example.org'],
    ['example.com', 'https://badexample.com'],
    ['auth.example.com', 'https://example.com'],
    ['com', 'https://auth.example.com'],
    ['localhost', 'https://localhost'],
    ['192.0.2.7', 'https://192.0.2.7'],
    ['[::1]', 'https://[::1]'],
    ['https://example.com', 'https://auth.example.com'],
    ['example.com:443', 'https://auth.example.com'],
    ['example.com/', 'https://auth.example.com'],
    ['*.example.com', 'https://auth.example.com'],
    ['..example.com', 'https://auth.example.com'],
    ['user@example.com', 'https://auth.example.com'],
    // Domains under which strangers have names.
    ['co.uk', 'https://auth.example.co.uk'],
    ['github.io', 'https://auth.github.io'],
    ['duckdns.org', 'https://me.duckdns.org'],
    ['.DuckDNS.org', 'https://auth.me.duckdns.org'],
    ['ts.net', 'https://nas.tail1234.ts.net'],
    ['foo.ck', 'https://auth.foo.ck'],
    ['个人.hk', 'https://auth.me.xn--ciqpn.hk'],
    ['home.arpa', 'https://auth.home.arpa'],
    ['amazonaws.com', 'https://auth.s3.amazonaws.com'],
  ])('COOKIE_DOMAIN %s is refused beside PUBLIC_URL %s', (COOKIE_DOMAIN, PUBLIC_URL) => {
    expect(problem({ COOKIE_DOMAIN, PUBLIC_URL })).toMatch(/^COOKIE_DOMAIN: /);
  });

  test.each([' ', 'a\nb', 'a\u00e9', 'a'.repeat(65)])('OPERATOR_NAME may not be %j', (OPERATOR_NAME) => {
    expect(problem({ OPERATOR_NAME })).toMatch(/^OPERATOR_NAME: /);
  });
});

describe('which password counts', () => {
  const plain = { from: 'MASTER_PASSWORD', plain: 'correct horse' };
  const builtIn = (env: NodeJS.ProcessEnv, files = {}) => {
    const { password } = load(env, files);
    return password.from === 'database' ? password.builtInAllowed : password.from;
  };

  test('the hash, else the plain one, else the database’s', () => {
    expect(load({ MASTER_PASSWORD_HASH: hash, MASTER_PASSWORD: plain.plain }).password).toEqual({
      from: 'MASTER_PASSWORD_HASH',
      hash,
    });
    expect(load({ MASTER_PASSWORD: plain.plain }).password).toEqual(plain);
    expect(load({ MASTER_PASSWORD: plain.plain, MASTER_PASSWORD_HASH: '' }).password).toEqual(plain);
    expect(load({}).password.from).toBe('database');
  });

  test('with a hash, nothing that is wrong with the plain password matters', () => {
    expect(load({ MASTER_PASSWORD_HASH: hash, MASTER_PASSWORD: 'x'.repeat(99) }).password).toMatchObject({ hash });
    expect(load({ MASTER_PASSWORD_HASH_FILE: 'h', MASTER_PASSWORD_FILE: 'none' }, { h: hash }).password).toMatchObject({
      hash,
    });
  });

  test.each([
    ['127.0.0.1', 'http://localhost:8000', true],
    ['127.8.8.8', 'http://127.0.0.1:8000', true],
    ['::1', 'http://[::1]:8000', true],
    ['0:0:0:0:0:0:0:1', 'http://LOCALHOST', true],
    ['LocalHost', 'https://auth.localhost', true],
    ['0.0.0.0', 'http://localhost:8000', false],
    ['::', 'http://localhost:8000', false],
    ['192.168.1.2', 'http://localhost:8000', false],
    ['nas', 'http://localhost:8000', false],
    ['localhost.example.com', 'http://localhost:8000', false],
    ['127.0.0.1', 'http://nas:8000', false],
    ['127.0.0.1', 'https://localhost.example.com', false],
    ['127.0.0.1', 'https://notlocalhost', false],
    ['127.0.0.1', 'http://128.0.0.1', false],
  ])('on HOST %s with PUBLIC_URL %s the built-in one is allowed: %s', (HOST, PUBLIC_URL, allowed) => {
    expect(builtIn({ HOST, PUBLIC_URL })).toBe(allowed);
  });

  test('in production the built-in one is never allowed', () => {
    expect(builtIn({ NODE_ENV: 'production' })).toBe(false);
    expect(builtIn({}, { '.env': 'NODE_ENV=production' })).toBe(false);
    expect(builtIn({ NODE_ENV: 'development' })).toBe(true);
  });

  test('a password variable that is there but empty forbids the built-in one', () => {
    for (const name of [
      'MASTER_PASSWORD',
      'MASTER_PASSWORD_HASH',
      'MASTER_PASSWORD_FILE',
      'MASTER_PASSWORD_HASH_FILE',
    ]) {
      expect(builtIn({ [name]: '' })).toBe(false);
      expect(builtIn({}, { '.env': `${name}=` })).toBe(false);
    }
    expect(builtIn({ SECRET_KEY: '' })).toBe(true);
  });

  test('a plain password has 72 UTF-8 bytes at most, no NUL, and is no hash', () => {
    expect(load({ MASTER_PASSWORD: 'ä'.repeat(36) }).password).toMatchObject({ plain: 'ä'.repeat(36) });
    expect(problem({ MASTER_PASSWORD: `${'ä'.repeat(36)}a` })).toMatch(/has 73 bytes in UTF-8/);
    expect(problem({ MASTER_PASSWORD: 'a\0b' })).toMatch(/has a NUL character/);
    expect(problem({ MASTER_PASSWORD: hash })).toMatch(/put it in MASTER_PASSWORD_HASH/);
  });
});

describe('MASTER_PASSWORD_HASH', () => {
  const base64 = Buffer.from(hash).toString('base64');
  const diagnosis = (MASTER_PASSWORD_HASH: string) => problem({ MASTER_PASSWORD_HASH });
  const eaten =
    /did Docker Compose or the shell eat the `\$`\?.*single quotes.*`\$\$`.*`\.\/backchannel hash --base64`/;

  test.each([
    ['$2b$', hash],
    ['$2a$', hash.replace('$2b', '$2a')],
    ['$2y$ of a low cost', hash.replace('$2b$12', '$2y$04')],
    ['the highest cost', hash.replace('$12', '$31')],
    ['white space around it', ` ${hash}\n`],
  ])('a raw hash is accepted: %s', (_, value) => {
    expect(load({ MASTER_PASSWORD_HASH: value }).password).toEqual({
      from: 'MASTER_PASSWORD_HASH',
      hash: value.trim(),
    });
  });

  test.each([
    ['as it is', base64],
    ['broken into lines, as base64 prints it', `${base64.slice(0, 76)}\n${base64.slice(76)}\n`],
    ['with the newline of echo in it', Buffer.from(`${hash}\n`).toString('base64')],
    ['without its padding', Buffer.from(`${hash}\n`).toString('base64').replaceAll('=', '')],
  ])('the base64 form is accepted: %s', (_, value) => {
    expect(load({ MASTER_PASSWORD_HASH: value }).password).toEqual({ from: 'MASTER_PASSWORD_HASH', hash });
  });

  test('a hash of a wrong shape is refused', () => {
    const wrong = [
      hash.slice(0, -1),
      `${hash}a`,
      hash.replace('$12', '$03'),
      hash.replace('$12', '$32'),
      hash.replace('$12', '$4'),
      hash.replace('$2b', '$2x'),
      hash.replace('/', '+'),
      base64.slice(0, -2),
      Buffer.from(`${hash}a`).toString('base64'),
      base64.replace('Y', '*'),
    ];
    for (const value of wrong) expect(diagnosis(value)).toMatch(/^MASTER_PASSWORD_HASH: /);
  });

  test('what is left when something expands its variables is recognised', () => {
    const random = createRandom(60).below;
    const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
    const expansions: Record<string, RegExp> = {
      shell: /\$(?:\d|[A-Za-z_]\w*)/g,
      compose: /\$[A-Za-z_]\w*/g,
      dotenv: /\$\w+/g,
    };
    for (const [by, variables] of Object.entries(expansions)) {
      for (let round = 0; round < 200; round++) {
        const whole = `$2${'aby'[random(3)]}$${10 + random(10)}$${randomText(random, alphabet, 53)}`;
        const left = whole.replace(variables, '');
        // Compose leaves a salt that begins with a digit as it is. Whatever is eaten whole is empty: not set.
        if (left === whole || left === '') continue;
        expect([by, left, diagnosis(left)]).toEqual([by, left, expect.stringMatching(eaten)]);
      }
    }
  });

  test.each([
    'b2/rest.of.hash',
    '/rest.of.hash',
    'y0.x',
    '$2b$12',
    '$2b$12/rest',
    '$2',
    'rest',
    hash.slice(7),
    hash.slice(-31),
  ])('the $ was eaten: %s', (left) => expect(diagnosis(left)).toMatch(eaten));

  test('a remainder of an unmistakable shape is not taken for a password', () => {
    for (const left of ['b2/rest', '/rest', '$2b$12', `b2${hash.slice(8)}`])
      expect(diagnosis(left)).not.toMatch(/plain/);
  });

  test('a plain password there is reported, with the variable to use', () => {
    for (const plain of ['correct horse battery', 'pässword!', '$ecret', '/my pass', 'a.b c', 'x'.repeat(60)]) {
      expect(diagnosis(plain)).toBe('MASTER_PASSWORD_HASH: is no bcrypt hash: put a plain password in MASTER_PASSWORD');
    }
    for (const either of ['admin123', 'hunter2']) {
      expect(diagnosis(either)).toMatch(/put a plain password in MASTER_PASSWORD\. If it was a hash, did Docker/);
    }
  });

  test('other mistakes have their own diagnosis', () => {
    expect(diagnosis(`'${hash}'`)).toMatch(/quotes in the value/);
    expect(diagnosis(hash.replaceAll('$', '$$$$'))).toMatch(/every `\$` doubled/);
    expect(diagnosis(`operator:${hash}`)).toMatch(/user name before the hash/);
    expect(diagnosis(`${hash}x`)).toMatch(/longer than a bcrypt hash/);
    expect(diagnosis('$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA')).toMatch(/a hash, but not of bcrypt/);
    expect(diagnosis(base64.slice(0, 40))).toMatch(/cut short or changed/);
  });
});

describe('SECRET_KEY', () => {
  test('it is a ring whose order is kept, trimmed', () => {
    expect(load({ SECRET_KEY: key('a') }).secretKeys).toEqual([key('a')]);
    expect(load({ SECRET_KEY: ` ${key('b')} ,${key('a')}` }).secretKeys).toEqual([key('b'), key('a')]);
    expect(load({ SECRET_KEY: `😀${key('a').slice(1)}` }).secretKeys).toHaveLength(1);
  });

  test.each([
    [
      'the question that npx asks',
      `Need to install the following packages: pnpm@12.21.0 Ok to proceed? (y) ${key('a')}`,
    ],
    ['a space', `${key('a')} ${key('b')}`],
    ['a tab', `${key('a')}\t${key('b')}`],
    ['a line break', `${key('a')}\n${key('b')}`],
    ['a no-break space', `${key('a')}\u00a0`.padEnd(40, 'x')],
  ])('a key with %s in it is a problem', (_what, value) => {
    const told = problem({ SECRET_KEY: `${key('c')}, ${value}` });
    expect(told).toMatch(/^SECRET_KEY: key 2 of 2 has white space in it/);
    expect(told).not.toContain(key('a'));
  });

  test.each(['k', 'ab', 'abc-', 'password', '01234567'])('a key that repeats %s is a problem', (pattern) => {
    for (const length of [32, 33, 64]) {
      const value = pattern.repeat(64).slice(0, length);
      expect(problem({ SECRET_KEY: value })).toMatch(/^SECRET_KEY: it is a short pattern that repeats/);
    }
    expect(load({ SECRET_KEY: `${pattern.repeat(32)}!` }).secretKeys).toHaveLength(1);
  });

  test('a key under 32 characters, an empty one or the same one twice is a problem', () => {
    for (const short of [
      'your-secret-key',
      'change-me-in-production',
      key('a').slice(1),
      '😀'.repeat(16),
      ' '.repeat(40),
    ]) {
      expect(problem({ SECRET_KEY: short })).toMatch(/^SECRET_KEY: needs at least 32 characters, it has \d+$/);
    }
    expect(problem({ SECRET_KEY: `${key('a')},` })).toMatch(/key 2 of 2 has 0$/);
    expect(problem({ SECRET_KEY: `${key('a')},${key('b')}, ${key('a')}` })).toMatch(/key 3 of 3 is the same as key 1$/);
  });
});

describe('paths', () => {
  test('relative ones start from the root, absolute ones stay', () => {
    using root = folder();
    const config = (env: NodeJS.ProcessEnv) => loadConfig({ env, root: root.path });
    expect(config({ DATA_DIR: './x/../y' })).toMatchObject({
      dataDir: join(root.path, 'y'),
      database: { file: join(root.path, 'y', 'backchannel.db') },
    });
    expect(config({ DATABASE_URL: 'sqlite:db/x.db' }).database).toHaveProperty('file', join(root.path, 'db', 'x.db'));
    expect(config({ DATABASE_URL: 'SQLite:/srv/x.db' }).database).toHaveProperty('file', resolve('/srv/x.db'));
  });

  test.each([
    ['data/backchannel.db', /neither of the form sqlite:PATH nor a postgresql:/],
    ['sqlite:', /names no file/],
    ['sqlite:data/', /names no file/],
    ['sqlite::memory:', /end every session at a restart/],
    ['sqlite:///srv/x.db', /an absolute path is sqlite:\/PATH/],
    ['sqlite:file:x.db', /only a path/],
    ['sqlite:x.db?mode=memory', /only a path/],
    ['sqlite:~/x.db', /~ is not expanded/],
  ])('DATABASE_URL may not be %s', (DATABASE_URL, why) => {
    expect(problem({ DATABASE_URL })).toMatch(why);
  });

  test('a postgresql:// URL is taken apart as its own tools do, and needs a SECRET_KEY', () => {
    const SECRET_KEY = key('k');
    const of = (DATABASE_URL: string) => load({ DATABASE_URL, SECRET_KEY }).database;
    expect(of('postgresql://bc:p%40ss@db.example.com/bc%20x')).toEqual({
      engine: 'postgresql',
      hosts: [{ host: 'db.example.com', port: 5432 }],
      user: 'bc',
      password: 'p@ss',
      database: 'bc x',
      tlsMode: null,
      tlsFiles: {},
      poolSize: 10,
      connectTimeoutMs: 2000,
      statementTimeoutMs: 1500,
      applicationName: 'backchannel',
      channelBinding: 'disable',
      options: null,
      shown: 'postgresql://bc@db.example.com:5432/bc%20x',
    });
    const cockroach = 'POSTGRES://bc@a:26257,[fd00::1]:26258,c/bc?sslmode=verify-full&options=--cluster%3Dfree';
    expect(of(`${cockroach}&pool_size=25&connect_timeout=1&statement_timeout=0&application_name=one`)).toMatchObject({
      hosts: [
        { host: 'a', port: 26257 },
        { host: 'fd00::1', port: 26258 },
        { host: 'c', port: 5432 },
      ],
      password: null,
      tlsMode: 'verify-full',
      options: '--cluster=free',
      poolSize: 25,
      connectTimeoutMs: 1000,
      statementTimeoutMs: 0,
      applicationName: 'one',
      shown: 'postgresql://bc@a:26257,[fd00::1]:26258,c:5432/bc',
    });
    for (const url of [
      'postgresql://bc@/bc?host=/run/postgresql&port=5433',
      'postgresql:///bc?host=/run/postgresql&port=5433&user=bc',
      'postgresql:///?host=%2Frun%2Fpostgresql&port=5433&user=bc&dbname=bc',
      'postgresql://bc@%2Frun%2Fpostgresql:5433/bc',
    ]) {
      expect(of(url)).toMatchObject({
        hosts: [{ host: '/run/postgresql', port: 5433 }],
        user: 'bc',
        database: 'bc',
        shown: 'postgresql://bc@%2Frun%2Fpostgresql:5433/bc',
      });
    }
    expect(of('postgresql:///bc?user=bc&password=p%40ss&host=a,fd00::1&port=1,2')).toMatchObject({
      hosts: [
        { host: 'a', port: 1 },
        { host: 'fd00::1', port: 2 },
      ],
      password: 'p@ss',
    });
    expect(of('postgresql://bc:p@ss@db/a%2Fb%40c')).toMatchObject({ password: 'p@ss', database: 'a/b@c' });
    const neon = 'postgresql://bc:p@ep-x-1.eu.aws.neon.tech/bc?sslmode=require&channel_binding=require';
    expect(of(neon)).toMatchObject({ tlsMode: 'require', channelBinding: 'require' });
    expect(of('postgresql://bc@db/bc?sslmode=require&sslrootcert=/ca.pem&sslcert=/c&sslkey=/k')).toMatchObject({
      tlsFiles: { rootCert: resolve('/ca.pem'), cert: resolve('/c'), key: resolve('/k') },
    });
    expect(problem({ DATABASE_URL: 'postgresql://bc:hunter2@db/bc' })).toMatch(
      /^SECRET_KEY: is not set, and with Postgre/,
    );
  });

  describe("what a postgresql:// URL does not say is taken from PostgreSQL's own variables", () => {
    const of = (url: string, variables: Record<string, string>) =>
      load({ DATABASE_URL: url, SECRET_KEY: key('k'), ...variables }).database;
    const all = {
      PGHOST: '/run/pg',
      PGPORT: '5433',
      PGUSER: 'me',
      PGPASSWORD: 'p@ss#',
      PGDATABASE: 'db',
      PGSSLMODE: 'require',
    };

    test('all of it, if the URL says nothing', () => {
      expect(of('postgresql://', { ...all, PGAPPNAME: 'two' })).toMatchObject({
        hosts: [{ host: '/run/pg', port: 5433 }],
        ...{ user: 'me', password: 'p@ss#', database: 'db', tlsMode: 'require', applicationName: 'two' },
      });
    });

    test('nothing that the URL says', () => {
      expect(of('postgresql://bc:own@db:1/bc?sslmode=disable', all)).toMatchObject({
        hosts: [{ host: 'db', port: 1 }],
        ...{ user: 'bc', password: 'own', database: 'bc', tlsMode: 'disable' },
      });
      expect(of('postgresql://bc@db/bc', all)).toMatchObject({
        hosts: [{ host: 'db', port: 5433 }],
        password: 'p@ss#',
      });
    });

    test('an empty one counts as not set', () => {
      expect(of('postgresql://bc@db/bc', { PGPASSWORD: '', PGPORT: '' })).toMatchObject({
        hosts: [{ host: 'db', port: 5432 }],
        password: null,
      });
    });

    test('a wrong one is named, and its value is not shown', () => {
      const given = { DATABASE_URL: 'postgresql://bc@db/bc', SECRET_KEY: key('k') };
      expect(problem({ ...given, PGSSLMODE: 'prefer' })).toMatch(/PGSSLMODE: allow and prefer would go on unencrypted/);
      const found = problem({ ...given, PGPASSWORD: 'hunter2\n' });
      expect(found).toMatch(/PGPASSWORD: is empty or has a control character/);
      expect(found).not.toContain('hunter');
    });
  });

  test.each([
    ['bc:hunter2@db', /names no database/],
    ['db/bc', /names no user/],
    [':hunter2@db/bc', /names no user/],
    ['bc:hun/ter2@db/bc', /percent encoding \(@ is %40/],
    ['bc:hun#ter2@db/bc', /percent encoding/],
    ['bc:hunter2%zz@db/bc', /percent encoding/],
    ['bc:hunter2@db:http/bc', /host or port that is none/],
    ['bc:hunter2@db:0/bc', /host or port that is none/],
    ['bc:hunter2@db,,c/bc', /host or port that is none/],
    ['bc:hunter2@db/bc%00', /NUL/],
    ['bc:hunter2@db/bc?ssl=true', /unknown parameter ssl after the \?; known are host, .*pool_size/],
    ['bc:hunter2@db/bc?constructor=1', /unknown parameter/],
    ['bc:hunter2@db/bc?sslmode=prefer', /sslmode: allow and prefer would go on unencrypted in silence/],
    ['bc:hunter2@db/bc?sslmode=yes', /sslmode: is none of disable, require, verify-ca, verify-full/],
    ['bc:hunter2@db/bc?sslmode=require&sslmode=disable', /sslmode: is there twice/],
    ['bc:hunter2@db/bc?sslmode=verify-ca', /verify-ca needs the sslrootcert/],
    ['bc:hunter2@db/bc?sslrootcert=/ca.pem', /sslrootcert means nothing without sslmode/],
    ['bc:hunter2@db/bc?sslmode=verify-full&sslcert=/c.pem', /sslcert and sslkey go together/],
    ['bc:hunter2@db/bc?pool_size=0', /pool_size: is not a whole number from 1 to 1000/],
    ['bc:hunter2@db/bc?statement_timeout=2s', /statement_timeout: is not a whole number/],
    ['bc:hunter2@db/bc?target_session_attrs=any', /can only be read-write/],
    ['bc:hunter2@db/bc?host=/run/postgresql', /host= or port= beside a host/],
    ['bc:hunter2@/bc?host=d%20b', /host or port that is none/],
    ['bc:hunter2@/bc?host=a,b&port=1,2,3', /host or port that is none/],
    ['bc:hunter2@db/bc?port=5433', /host= or port= beside a host/],
    ['bc:hunter2@db/bc?password=hunter2', /password: is there twice/],
    ['bc:hun?ter2@db/bc', /percent encoding/],
    ['bc:hun?ter2&hunter=1@db/bc', /percent encoding/],
    ['db/bc?hunter%40=1', /unknown parameter after/],
    ['bc:hunter2@db/bc?channel_binding=yes', /channel_binding: can only be disable or prefer or require/],
    ['bc:hunter2@db/bc?channel_binding=require', /needs an encrypted connection/],
    ['bc:hunter2@db/bc?schema=auth', /unknown parameter schema after/],
    ['bc:hunter2@db/bc?gssencmode=require', /gssencmode: can only be disable or prefer/],
    ['bc:hunter2@%2/bc', /host or port that is none/],
  ])('DATABASE_URL may not be postgresql://%s', (rest, why) => {
    const found = problem({ DATABASE_URL: `postgresql://${rest}`, SECRET_KEY: key('k') });
    expect(found).toMatch(why);
    expect(found).not.toMatch(/hunter|ter2/);
  });

  test('a ~ or a control character in DATA_DIR is a problem', () => {
    expect(problem({ DATA_DIR: '~/bc' })).toMatch(/~ is not expanded/);
    expect(problem({ DATA_DIR: 'a\nb' })).toMatch(/control character/);
    expect(load({ DATA_DIR: '/srv/a~b' }).dataDir).toBe(resolve('/srv/a~b'));
  });
});

describe('choices', () => {
  test('METRICS_PORT is off unless set, and no second name for PORT', () => {
    expect(load({}).metricsPort).toBeNull();
    expect(load({ METRICS_PORT: '9464', METRICS_HOST: '::1' })).toMatchObject({
      metricsPort: 9464,
      metricsHost: '::1',
    });
    expect(problems({ METRICS_PORT: '8000' })).toEqual([
      expect.objectContaining({ variable: 'METRICS_PORT', problem: 'is PORT, too: metrics have a port of their own' }),
    ]);
    expect(load({ PORT: '0', METRICS_PORT: '0' }).metricsPort).toBe(0);
  });

  test('DOCS, LOG_LEVEL and LOG_FORMAT take exactly their words', () => {
    for (const DOCS of ['public', 'login', 'off']) expect(load({ DOCS }).docs).toBe(DOCS);
    for (const LOG_LEVEL of ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']) {
      expect(load({ LOG_LEVEL }).logLevel).toBe(LOG_LEVEL);
    }
    expect(problems({ DOCS: 'Public', LOG_LEVEL: 'INFO', LOG_FORMAT: 'yaml' })).toHaveLength(3);
  });
});

describe('.env.example', () => {
  const example = readFileSync(join(repository, '.env.example'), 'utf8');
  const uncommented = example.replace(/^#(?=[A-Z_]+=)/gm, '');

  test('it and the README’s table are what `pnpm --filter server reference` writes', () => {
    const readme = readFileSync(join(repository, 'README.md'), 'utf8');
    expect(example).toBe(envExample());
    expect(readme).toContain(settingsTable());
    expect(withTable(readme)).toBe(readme);
  });

  test('it has every setting with its default, commented out, and nothing else', () => {
    expect(parseEnv(example)).toEqual({});
    expect(parseEnv(uncommented)).toEqual(Object.fromEntries(settings.map((each) => [each.name, each.default])));
    expect(uncommented.match(/^[A-Z_]+=/gm)).toHaveLength(settings.length);
  });

  test('with every line uncommented it loads and changes nothing but the built-in password', () => {
    using root = folder({ '.env': uncommented });
    using bare = folder();
    const { password, ...rest } = loadConfig({ env: {}, root: root.path, isTerminal: true });
    const { password: _, ...defaults } = loadConfig({ env: {}, root: bare.path, isTerminal: true });
    expect(JSON.parse(JSON.stringify(rest).replaceAll(root.path, bare.path))).toEqual(defaults);
    expect(password).toEqual({ from: 'database', builtInAllowed: false });
  });

  test('each setting has its own comment above it', () => {
    const lines = example.split('\n');
    for (const { name } of settings)
      expect(lines[lines.findIndex((line) => line.startsWith(`#${name}=`)) - 1]).toMatch(/^# \S/);
  });

  test('the settings’ own examples load together', () => {
    const env = Object.fromEntries(settings.map(({ name, example }) => [name, example]));
    expect(problems(env)).toEqual([]);
  });
});

test('nothing but config/config.ts reads process.env in the server', () => {
  const source = resolve(import.meta.dirname, '../..');
  const files = readdirSync(join(source, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const readers = files.filter((name) =>
    /\bprocess\.env\b/.test(readFileSync(join(source, 'src', name), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')),
  );
  expect(readers).toEqual(['config/config.ts']);
});
