// docs/deploy-*.md: their commands print what is in examples/, and so are the lines to add by hand. Whether nginx and Caddy
// accept the files is tested in e2e/test/proxies.test.ts.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { settings } from '@backchannel/server/config';
import { afterAll, describe, expect, test } from 'vitest';
import { makeHome, repository } from './run.ts';

const home = makeHome();
afterAll(() => home[Symbol.dispose]());

const read = (file: string) => readFileSync(join(repository, file), 'utf8');
const blocksOf = (page: string, language: string) =>
  [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].flatMap(([, name, code = '']) => (name === language ? [code] : []));

/** The environment in a page's first block without a language, which goes into `.env`. */
function envOf(page: string): Record<string, string> {
  const env = parseEnv(blocksOf(page, '')[0] ?? '') as Record<string, string>;
  const known: readonly string[] = settings.map(({ name }) => name);
  expect(Object.keys(env).filter((name) => !known.includes(name))).toEqual([]);
  expect(env).toMatchObject({ PUBLIC_URL: expect.any(String), COOKIE_DOMAIN: expect.any(String) });
  return env;
}

/** The arguments of each `proxy-config` whose output goes into a file on the page. */
const printed = (page: string): string[][] =>
  [
    ...blocksOf(page, 'sh')
      .join('\n')
      .matchAll(/backchannel (proxy-config .*?) (?:>|\| sudo tee)/g),
  ].map(([, words = '']) => words.split(' '));

describe.each([
  ['nginx', 'examples/nginx.conf'],
  ['caddy', 'examples/Caddyfile'],
])('docs/deploy-%s.md', (proxy, example) => {
  const page = read(`docs/deploy-${proxy}.md`);

  test(`prints ${example}, without advice`, async () => {
    const runs = await Promise.all(printed(page).map((words) => home.run(words, { env: envOf(page) })));
    expect(runs.map(({ stderr, exitCode }) => ({ stderr, exitCode }))).toEqual(
      Array(2).fill({ stderr: '', exitCode: 0 }),
    );
    expect(runs.map(({ stdout }) => stdout).join('\n')).toBe(read(example));
  });

  test('has the lines to add by hand, as they are in the example', () => {
    const [snippet = 'none', ...more] = blocksOf(page, proxy);
    expect(more).toEqual([]);
    expect(read(example)).toContain(snippet);
  });

  test('prints a block for a home network: no TLS, another port of the same host', async () => {
    const words = /backchannel (proxy-config \w+ nas:9000 \S+)\n/.exec(page)?.[1]?.split(' ') ?? [];
    const env = { PUBLIC_URL: 'http://nas:8000', TRUSTED_PROXIES: '127.0.0.1', HOST: '0.0.0.0' };
    const { stdout, stderr, exitCode } = await home.run(words, { env });
    expect(exitCode).toBe(0);
    expect(stdout).toContain('nas:9000');
    expect(stderr).toMatch(/^nas is also BackChannel's host name/);
  });
});

test('docs/deploy-traefik.md prints examples/traefik.yaml, and names its middlewares for labels', async () => {
  const page = read('docs/deploy-traefik.md');
  const [own = [], application = [], ...more] = printed(page);
  expect(more).toEqual([]);
  expect(await home.run(own, { env: envOf(page) })).toMatchObject({ stderr: '', exitCode: 0 });
  const { stdout, exitCode } = await home.run(application, { env: envOf(page) });
  expect({ stdout, exitCode }).toEqual({ stdout: read('examples/traefik.yaml'), exitCode: 0 });
  const named = /middlewares: (app-.*)\n/.exec(page)?.[1]?.replaceAll('@file', '').split(',') ?? [];
  expect(stdout).toContain(`      middlewares:\n${named.map((name) => `        - ${name}\n`).join('')}`);
});

test('docs/deploy-compose.md prints blocks for examples/compose.yaml, without advice', async () => {
  const compose = read('examples/compose.yaml');
  const [, environment = ''] = /^ {2}backchannel:\n(?:.*\n)*? {4}environment:\n((?: {6}.*\n)+)/m.exec(compose) ?? [];
  const env = Object.fromEntries(
    [...environment.matchAll(/^ {6}(\w+): ([^$\n]+)$/gm)].map(([, name, value]) => [name, value]),
  );
  expect(Object.keys(env)).toEqual(['PUBLIC_URL', 'COOKIE_DOMAIN', 'TRUSTED_PROXIES']);
  const runs = printed(read('docs/deploy-compose.md')).map((words) =>
    home.run(words, { env: { ...env, HOST: '0.0.0.0' } }),
  );
  const [own, application] = await Promise.all(runs);
  expect([own?.stderr, application?.stderr]).toEqual(['', '']);
  expect(own?.stdout).toMatch(/^auth\.example\.com \{.*reverse_proxy backchannel:8000\n/ms);
  expect(application?.stdout).toMatch(
    /^app\.example\.com \{.*forward_auth backchannel:8000 .*reverse_proxy http:\/\/app /ms,
  );
  for (const name of ['backchannel', 'app']) expect(compose).toMatch(new RegExp(`^  ${name}:$`, 'm'));
});

describe('docs/deploy-systemd.md', () => {
  const page = read('docs/deploy-systemd.md');
  const [unit = ''] = blocksOf(page, 'ini');
  const here = unit.replaceAll('/opt/backchannel', repository);

  test('starts existing files, with a data folder that systemd creates', () => {
    const [, node = '', main = ''] = /^ExecStart=(\S+) (\S+)$/m.exec(here) ?? [];
    expect(execFileSync(node, ['--version'], { encoding: 'utf8' })).toBe(`${process.version}\n`);
    expect(existsSync(join(repository, main))).toBe(true);
    expect(`/var/lib/${/^StateDirectory=(.*)$/m.exec(unit)?.[1]}`).toBe(envOf(page).DATA_DIR);
  });

  test('is a service that systemd accepts', (context) => {
    if (spawnSync('systemd-analyze', ['--version']).error) return context.skip('skipped: no systemd here');
    const folder = mkdtempSync(join(tmpdir(), 'backchannel-systemd-'));
    try {
      const file = join(folder, 'backchannel.service');
      writeFileSync(file, here);
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
        encoding: 'utf8',
      });
      expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
