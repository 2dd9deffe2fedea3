// `backchannel proxy-config`: its output, its advice, and the values that it accepts. Whether nginx and Caddy run the blocks as
// intended is tested in e2e/test/proxies.test.ts.
import { loadConfig } from '@backchannel/server/config';
import { ownCookieNames } from '@backchannel/server/cookies';
import { afterAll, describe, expect, test } from 'vitest';
import { Failure } from '../src/failure.ts';
import { adviceFor } from '../src/proxies/advice.ts';
import { basicToken, bearerToken, ourCookies } from '../src/proxies/credentials.ts';
import { readSite, type SiteOptions } from '../src/proxies/site.ts';
import { trustedHeaders } from '../src/proxies/stripped.ts';
import { makeHome } from './run.ts';

const home = makeHome();
afterAll(() => home[Symbol.dispose]());

const proxies = ['nginx', 'caddy', 'traefik'] as const;
const subdomains = {
  PUBLIC_URL: 'https://auth.example.com',
  COOKIE_DOMAIN: 'example.com',
  TRUSTED_PROXIES: '127.0.0.1',
};
const app = ['app.example.com', 'http://127.0.0.1:3000'];

/** Reads the arguments like the command, without a process for each. */
function read(words: string[], options: SiteOptions = {}, env: Record<string, string> = subdomains) {
  const config = loadConfig({ env, root: home.root });
  return { config, site: readSite(config, [words[0], words[1]], options) };
}

const print = (words: string[], env: Record<string, string> = subdomains) =>
  home.run(['proxy-config', ...words], { env });

describe('the block', () => {
  test.each(proxies)(
    'for %s is all of stdout, contains both addresses, and names the command that printed it',
    async (proxy) => {
      const { stdout, exitCode } = await print([proxy, ...app]);
      expect(exitCode).toBe(0);
      const [first, , third] = stdout.split('\n');
      expect(first).toBe(
        '# https://app.example.com: http://127.0.0.1:3000, behind the sign-in of https://auth.example.com.',
      );
      expect(third).toBe(`# Printed by: ./backchannel proxy-config ${proxy} app.example.com http://127.0.0.1:3000`);
      expect(stdout).toContain('127.0.0.1:8000');
      const { block, warnings } = JSON.parse((await print([proxy, ...app, '--json'])).stdout);
      expect(`${block}\n`).toBe(stdout);
      expect(warnings).toHaveLength(proxy === 'traefik' ? 1 : 0);
    },
  );

  test.each(proxies)('for %s and BackChannel itself needs no arguments, or only its own host name', async (proxy) => {
    const { stdout, stderr, exitCode } = await print([proxy]);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/^# https:\/\/auth\.example\.com: BackChannel itself\.\n/);
    expect(stdout).not.toMatch(/verify/);
    expect((await print([proxy, 'AUTH.example.com:443'])).stdout).toBe(stdout);
  });

  test.each(proxies)('for %s follows the configuration', async (proxy) => {
    const env = { ...subdomains, HOST: '::', PORT: '8123', COOKIE_NAME: 'a.b$c', OPERATOR_EMAIL: 'me@example.com' };
    const { stdout } = await print([proxy, 'App.Example.com:8443', 'localhost:3000', '--basic'], env);
    expect(stdout).toContain('[::1]:8123');
    expect(stdout).toContain('basic=1');
    expect(stdout).toContain('Remote-Email');
    expect(stdout).toMatch(/app.example.com(?::8443|.*8443)/s);
    if (proxy !== 'traefik') expect(stdout).toContain('a\\x2eb\\x24c|__Host-a\\x2eb\\x24c|');
    const elsewhere = await print([proxy, ...app, '--backchannel', 'http://backchannel:8000/']);
    expect(elsewhere.stdout).toContain('backchannel:8000');
    expect(elsewhere.stdout).not.toContain('127.0.0.1:8000');
  });

  test.each(proxies)('for %s deletes each header that only a proxy may set, with a source for each', async (proxy) => {
    const [own, application] = [(await print([proxy])).stdout, (await print([proxy, ...app])).stdout];
    for (const { source, names } of trustedHeaders) {
      expect(source).toMatch(/\w/);
      // Wildcards are tested in the proxy itself.
      if (proxy === 'caddy') continue;
      for (const name of names) {
        if (proxy === 'traefik' && name === 'X-Real-IP') continue;
        expect(application, name).toMatch(new RegExp(`\\b${name}(?: |: ")`, 'i'));
        expect(own, name).toMatch(new RegExp(`\\b${name}(?: |: ")`, 'i'));
      }
    }
  });

  test('for another cookie name has another nginx variable, because the last map of a name applies to all blocks', async () => {
    const names = ['backchannel_session', 'other', 'another'].map(async (COOKIE_NAME) => {
      const { stdout } = await print(['nginx', ...app], { ...subdomains, COOKIE_NAME });
      return /proxy_set_header Cookie (\$\w+);/.exec(stdout)?.[1];
    });
    const found = await Promise.all(names);
    expect(new Set(found).size).toBe(3);
  });

  test('for other public paths has another nginx variable, because the last map of a name applies to all blocks', async () => {
    const blocks = [
      [...app, '--public', '/share/'],
      [...app, '--public', '/share'],
      ['app-example.com', 'x', '--public', '/share/'],
      ['app_example.com:8443', 'x', '--public', '/share/'],
    ].map(async (words) => {
      const { stdout } = await print(['nginx', ...words]);
      const [, name] = /^map \$request_uri (\$\w+)/m.exec(stdout) ?? [];
      expect(stdout).toContain(`if (${name}) {`);
      return name;
    });
    expect(new Set(await Promise.all(blocks)).size).toBe(4);
  });

  test.each(proxies)('for %s makes each named path public once', async (proxy) => {
    const words = [proxy, ...app, '--public', '/share/', '--public=/.well-known/x', '--public', '/share/'];
    const { stdout } = await print(words);
    expect(stdout).toContain('--public /share/ --public /.well-known/x\n');
    const opened: Record<string, RegExp> = {
      nginx:
        /^map \$request_uri \$bc_public_\w+ \{\n(?:.*\n){2} {4}"~\^\/share\/" 1;\n {4}"~\^\/\[\.\]well-known\/x\(\?:\[\?\]\|\$\)" 1;\n\}/gm,
      caddy: /matches\(r"\^\/share\/"\) \|\| \S+\.matches\(r"\^\/\[\.\]well-known\/x\(\?:\[\?\]\|\$\)"\)\) && !/g,
      traefik:
        /rule: 'Host\(`app\.example\.com`\) && \(PathPrefix\(`\/share\/`\) \|\| Path\(`\/\.well-known\/x`\)\) && !PathRegexp\(`.*`\)'/g,
    };
    expect(stdout.match(opened[proxy] ?? /$^/g)).toHaveLength(1);
    expect((await print([proxy, ...app])).stdout).not.toContain('# Public');
  });

  test('has the given certificate, or else a mark where to put one', async () => {
    for (const proxy of ['nginx', 'caddy']) {
      const given = await print([proxy, ...app, '--cert', '/etc/a.pem', '--key', '/etc/b.pem']);
      expect(given.stdout).toMatch(/\/etc\/a\.pem.*\/etc\/b\.pem/s);
      expect(given.stdout).not.toContain('EDIT');
    }
    expect((await print(['nginx', ...app])).stdout).toContain('# EDIT: where the certificate is');
    expect((await print(['traefik', ...app])).stdout).toContain('# EDIT: the entry point');
  });
});

describe('advice', () => {
  const localhost = { PUBLIC_URL: 'http://localhost:8000', TRUSTED_PROXIES: '127.0.0.1' };
  test.each<[string, string[], Record<string, string>, RegExp | null]>([
    ['nothing, if everything is set', app, subdomains, null],
    [
      'TRUSTED_PROXIES, if no proxy is trusted',
      app,
      { ...subdomains, TRUSTED_PROXIES: '' },
      /^Set TRUSTED_PROXIES=127\.0\.0\.1\. Without it, you are not sent back/,
    ],
    [
      'TRUSTED_PROXIES, in addition to the trusted ones',
      app,
      { ...subdomains, TRUSTED_PROXIES: '10.0.0.1' },
      /^Set TRUSTED_PROXIES=10\.0\.0\.1,127\.0\.0\.1\. /,
    ],
    [
      'TRUSTED_PROXIES, for BackChannel itself too',
      [],
      { ...subdomains, TRUSTED_PROXIES: '' },
      /^Set TRUSTED_PROXIES=127\.0\.0\.1\. Without it, every visitor/,
    ],
    [
      'the address of the proxy, if it is on another machine',
      [...app, 'http://bc:8000'],
      { ...subdomains, TRUSTED_PROXIES: '' },
      /^Set TRUSTED_PROXIES=ADDRESS, with the address from which the proxy calls/,
    ],
    [
      'COOKIE_DOMAIN, if the hosts share a domain',
      app,
      { ...subdomains, COOKIE_DOMAIN: '' },
      /Set COOKIE_DOMAIN=example\.com and sign in again\./,
    ],
    [
      'names under one domain, if the hosts share none',
      ['app.example.net', 'x'],
      { ...subdomains, COOKIE_DOMAIN: '' },
      /the two hosts share no domain/,
    ],
    [
      'names under one domain, if strangers share the only one',
      ['app.duckdns.org', 'x'],
      { ...subdomains, PUBLIC_URL: 'https://auth.duckdns.org', COOKIE_DOMAIN: '' },
      /the two hosts share no domain of your own/,
    ],
    [
      'names under one domain, for a host outside COOKIE_DOMAIN',
      ['app.example.net', 'x'],
      subdomains,
      /only tokens open it: the two hosts share no domain/,
    ],
    [
      'another port, over http',
      ['app.lan', 'x'],
      localhost,
      /Over http, use the same host name at another port: localhost:PORT/,
    ],
    [
      'a separate host name, for another port of the same host',
      ['localhost:9000', 'x'],
      localhost,
      /^localhost is also BackChannel's host name, and browsers share cookies between ports\. This block removes/,
    ],
  ])('covers %s', (_what, words, env, expected) => {
    const [host, upstream, backchannel] = words;
    const { site, config } = read(
      [host, upstream].filter((word) => word !== undefined),
      { backchannel },
      env,
    );
    const given = adviceFor(site, config, 'nginx');
    expect(given).toEqual(expected === null ? [] : [expect.stringMatching(expected)]);
  });

  test('for Traefik names what Traefik cannot do, and more for the same host name', async () => {
    expect((await print(['traefik', ...app])).stderr).toMatch(
      /^Traefik passes the pass cookie and .* X-Backchannel-Token/,
    );
    const { stderr } = await print(['traefik', 'localhost:9000', 'x'], localhost);
    expect(stderr).toContain('The application receives the session cookie and can do everything that you can');
  });
});

describe('a value that cannot go into a configuration', () => {
  const hosts = [
    '',
    'a b',
    'a;b',
    'a{b}',
    '$host',
    '"a"',
    "a'",
    'a\\b',
    'a\nb',
    'a#b',
    'a/b',
    'https://a.b',
    'u@a.b',
    '*.a.b',
    '-a.b',
    'a..b',
    'a.b:0',
    'a.b:x',
    'a.b:65536',
    '{$HOME}',
    '`id`',
    'a.b)',
    '[::1',
    '1.2.3.256',
  ];
  const upstreams = [
    '',
    '/run/app.sock',
    'unix:/run/app',
    'ftp://a',
    'http://',
    'http://a/b',
    'http://a?b',
    'http://a;',
    'http://u:p@a',
    'http://a b',
    'http://a:0',
    '$upstream',
    '{upstream}',
    'http://a\tb',
    'a"b',
  ];
  const options: SiteOptions[] = [
    ...['', '/', 'share/', '/a b', '/a%20b', '/a;', '/$a', '/{a}', '/a/../b', '/..', '/a//b', '/"', '/`', '/a*'].map(
      (path) => ({
        public: [path],
      }),
    ),
    { backchannel: 'https://a' },
    { backchannel: 'a;b' },
    { cert: '/a' },
    { cert: 'a', key: '/b' },
    { cert: '/a;b', key: '/b' },
    { cert: '/a', key: '/$b' },
  ];
  const refused = (words: string[], given?: SiteOptions) => {
    try {
      read(words, given);
    } catch (error) {
      return error;
    }
    return null;
  };

  test('is bad usage, reported on one line', () => {
    const found = [
      ...hosts.map((host) => refused([host, 'http://127.0.0.1:3000'])),
      ...upstreams.map((upstream) => refused(['app.example.com', upstream])),
      ...options.map((given) => refused(app, given)),
    ];
    for (const [index, error] of found.entries()) {
      expect(error, `try ${index}`).toBeInstanceOf(Failure);
      expect(error, `try ${index}`).toMatchObject({ exitCode: 2, message: expect.stringMatching(/^backchannel: .+$/) });
    }
  });

  test.each([
    [
      ['app.example.com;', 'x'],
      '"app.example.com;" is not a host name with an optional :port, such as app.example.com',
    ],
    [
      ['app.example.com'],
      'app.example.com needs an UPSTREAM, the address of the application, such as http://127.0.0.1:3000',
    ],
    [
      ['auth.example.com', 'x'],
      "auth.example.com is BackChannel's own address, PUBLIC_URL. For its block, leave out UPSTREAM",
    ],
    [['--preflight'], '--preflight is for an application. BackChannel answers its own preflights'],
    [['--public', '/x'], '--public is for paths of an application. BackChannel guards its own paths'],
    [
      ['a.b', 'x', 'y'],
      'too many arguments, expected one HOST and one UPSTREAM. Put quotes around an argument that contains spaces',
    ],
  ])('is rejected, and no block is printed: %j', async (words, message) => {
    const { stdout, stderr, exitCode } = await print(['nginx', ...words]);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: `backchannel: ${message}\n`, exitCode: 2 });
  });

  test('a proxy is rejected at the address of BackChannel, or at the address to which it forwards', async () => {
    const here = { PUBLIC_URL: 'http://localhost:8000' };
    const own = await print(['caddy'], here);
    expect(own).toMatchObject({ stdout: '', exitCode: 1 });
    expect(own.stderr).toMatch(/^PUBLIC_URL is http:\/\/localhost:8000, where BackChannel itself listens/);
    expect(() => read(['localhost:9000', 'http://127.0.0.1:9000'], {}, here)).toThrow('HOST and UPSTREAM are the same');
    expect(() => read(['localhost:9000', 'x'], {}, { ...here, PORT: '0' })).toThrow('--backchannel');
  });
});

describe('the patterns for credentials that an application must not see', () => {
  test('match a token as the Basic password after any user name, in both base64 alphabets, and nothing else', () => {
    const pattern = new RegExp(`^${basicToken}`);
    const encode = (text: Buffer) => text.toString('base64');
    for (let length = 0; length < 7; length++) {
      for (let last = 0; last < 256; last++) {
        const user = Buffer.alloc(length, 'ü');
        if (length > 0) user[length - 1] = last;
        // The next character shares a letter with the prefix, so every character of the alphabet is tried.
        const next = Buffer.from([last]);
        const token = Buffer.concat([user, Buffer.from(':bct_'), next]);
        for (const text of [encode(token), token.toString('base64url')]) expect(`Basic ${text}`).toMatch(pattern);
        expect(`basic  ${encode(token)}`).toMatch(pattern);
        for (const other of [':bct-', ':bcT_', 'bct_:', ':bct', ':xbct_', ': bct_']) {
          const text = encode(Buffer.concat([user, Buffer.from(other), Buffer.from('a')]));
          if (last !== 0x3a) expect(`Basic ${text}`, other).not.toMatch(pattern);
        }
      }
    }
  });

  test('match a bearer token in any case, as the server accepts it', () => {
    const pattern = new RegExp(`^${bearerToken}`);
    for (const text of ['Bearer bct_x', 'bearer   BCT_x', 'BEARER bct_']) expect(text).toMatch(pattern);
    for (const text of ['Bearer x', 'Bearer xbct_', 'Basic bct_', 'Bearerbct_x', 'X Bearer bct_x']) {
      expect(text).not.toMatch(pattern);
    }
  });

  test('match a cookie only by its name, for any name that COOKIE_NAME allows', () => {
    const session = "!#$%&'*+-.^_`|~Aa0";
    const pattern = new RegExp(`^(?:${ourCookies({ cookies: ownCookieNames({ cookieName: `__Host-${session}` }) })})$`);
    const others = [`__Secure-${session}_pass`, '__Host-backchannel_device', 'backchannel_device'];
    for (const name of [session, `__Host-${session}`, ...others]) expect(name).toMatch(pattern);
    for (const name of [session.toLowerCase(), `x${session}`, `${session}x`, session.replace('.', 'x')]) {
      expect(name).not.toMatch(pattern);
    }
    expect(pattern.source).not.toMatch(/["'{}`]/);
  });
});
